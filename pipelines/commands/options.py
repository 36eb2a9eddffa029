"""Options that several commands share, as parents for their parsers."""

import argparse
from pathlib import Path

from infra.addresses import SCHEME, AddressError, require_usable_root


class MixedParser(argparse.ArgumentParser):
    """A command's parser that takes words before, between and after options, as the `kfp` command does."""

    within = False

    def parse_known_args(self, args=None, namespace=None):
        """The plain parser's, in two passes; it calls this method in each."""
        if self.within:
            return super().parse_known_args(args, namespace)
        self.within = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self.within = False


def storage_root(text: str) -> str:
    """A folder's absolute path, or an address in object storage."""
    if not text.strip():
        # Else it would be the current folder, where nobody asked for a run: an unset variable of a script.
        raise argparse.ArgumentTypeError("the storage root is empty; give a folder or s3://BUCKET/PREFIX")
    root = text if SCHEME.match(text) else str(Path(text).resolve())
    try:
        require_usable_root(root)
    except AddressError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return root.rstrip("/") or root


def model_name(text: str) -> str:
    """The name of a registered model."""
    from components.register_student import require_model_name

    try:
        return require_model_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def override(text: str) -> tuple[str, str]:
    """`a.b=value` as a pair."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=value")
    return name, value


def root_options() -> argparse.ArgumentParser:
    """Where results are kept."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--root",
        type=storage_root,
        default=storage_root("out"),
        help="where results are kept, a folder or s3://BUCKET/PREFIX (default: out)",
    )
    parser.add_argument(
        "--s3-endpoint", default="", metavar="URL", help="the S3 server, for a root there (default: AWS)"
    )
    return parser


def recipe_options() -> argparse.ArgumentParser:
    """Which recipe, and what is otherwise in it."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--recipe", default="demo", help="demo, smoke, full or full_ensemble (default: demo)")
    parser.add_argument(
        "--set", type=override, action="append", default=[], metavar="NAME=VALUE", help="override one value"
    )
    return parser


def registry_options() -> argparse.ArgumentParser:
    """Which registry, and which model in it."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--mlflow-uri", default="", metavar="URI", help="the registry (default: ROOT/mlflow.db)"
    )
    text = "the registered model's name (default: dcclip)"
    parser.add_argument("--model", type=model_name, default="dcclip", help=text)
    return parser
