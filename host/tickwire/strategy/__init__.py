"""Strategies: state and functions over records, the same on every device.

:mod:`tickwire.strategy.base` says what a strategy is, ``spread``, ``imbalance`` and ``pair`` are
examples, :mod:`tickwire.kernels.engine_actions` is what a strategy's function can do.
"""
