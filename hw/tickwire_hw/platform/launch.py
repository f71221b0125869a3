"""Start a tool of the YoWASP wheels with a deep stack: ``python -m tickwire_hw.platform.launch``.

Yosys sorts cells by recursion, and a whole pipeline is deeper than WebAssembly's default stack.
"""

import importlib.metadata
import sys
import threading

import wasmtime
from wasmtime import _bindings

STACK = 1 << 28
"""Octets of stack for WebAssembly; the thread that it runs in has twice as many."""


class _DeepConfig(wasmtime.Config):
    def __init__(self) -> None:
        super().__init__()
        # This one has no Python name, and must not be less.
        _bindings.wasmtime_config_async_stack_size_set(self.ptr(), STACK)
        self.max_wasm_stack = STACK


def main(arguments: list[str]) -> None:
    """Run the tool that the first argument names with the others; exits with its status."""
    name = arguments[0]
    [entry] = importlib.metadata.entry_points(group="console_scripts", name=name)
    wasmtime.Config = _DeepConfig
    threading.stack_size(2 * STACK)
    sys.argv = arguments
    entry.load()()


if __name__ == "__main__":
    main(sys.argv[1:])
