"""The images that steps run on: how they are built, tagged and locked."""
