"""What every step stands on: places, progress, memory, code versions."""
