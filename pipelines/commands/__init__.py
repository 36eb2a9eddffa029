"""The commands of `dcclip`, a module each: `add(commands)` declares its options, a function does the work.

A module imports what it works with inside its function, so that `dcclip --help` comes at once.
"""
