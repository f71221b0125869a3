"""Sources of the gateware in which single operators can be made wrong while the gateware runs.

Every operator that makes logic is replaced by a call that makes both, the right one and the wrong
one, and a multiplexer between them: mutant number n is in force while ``MUTANT`` is n. So one
compiled model holds all mutants of its sources. An operator that works on numbers of Python, at
elaboration, is left as it is.
"""

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.hdl import Cat, Const, Mux, Signal, Value

MUTANT = Signal(16, name="mutant")
"""Number of the mutant in force, 0 for none."""
NAME = "_mutants"
"""Name of this module in mutated sources."""
_BINARY: dict[type, str] = {ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.Add: "+",
                            ast.Sub: "-"}
_COMPARE: dict[type, str] = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=",
                             ast.Gt: ">", ast.GtE: ">="}
_WRONG = {"&": "|", "|": "&", "^": "|", "+": "-", "-": "+", "==": "!=", "!=": "==", "<": "<=",
          "<=": "<", ">": ">=", ">=": ">", "any": "all", "all": "any"}
_CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "&": operator.and_, "|": operator.or_, "^": operator.xor, "+": operator.add,
    "-": operator.sub, "==": operator.eq, "!=": operator.ne, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass
class Mutant:
    """One wrong operator: where it stands, and what became what."""

    number: int
    path: Path
    line: int
    column: int
    change: str
    is_hardware: bool = False              # elaboration has met it

    @property
    def place(self) -> str:
        """File, line and column."""
        return f"{self.path.name}:{self.line}:{self.column + 1}"


MUTANTS: dict[int, Mutant] = {}
"""Every operator found so far, by number."""


def _either(number: int, right: Any, make_wrong: Callable[[], Any]) -> Any:
    """Return the right value unless the mutant is in force; both have the right one's shape."""
    if not isinstance(right, Value):
        return right
    try:
        wrong = Value.cast(make_wrong())
    except (TypeError, ValueError, AttributeError):
        return right
    shape = right.shape()
    MUTANTS[number].is_hardware = True
    missing = max(0, shape.width - len(wrong))
    above = wrong[-1].replicate(missing) if wrong.shape().signed else Const(0, missing)
    bits = Mux(number == MUTANT, Cat(wrong, above)[:shape.width], right.as_unsigned())
    return bits.as_signed() if shape.signed else bits


def binary(number: int, symbol: str, left: Any, right: Any) -> Any:
    """Apply an operator of two operands, or the wrong one."""
    call = _CALLS[symbol]
    return _either(number, call(left, right), lambda: _CALLS[_WRONG[symbol]](left, right))


def number_of(number: int, symbol: str, left: Any, right: Any) -> Any:
    """Apply an operator to a number in the source, or to the next one."""
    return _either(number, _CALLS[symbol](left, right), lambda: _CALLS[symbol](left, right + 1))


def inverted(number: int, value: Any) -> Any:
    """Invert a value, or do not."""
    return _either(number, ~value, lambda: value)


def chosen(number: int, condition: Any, one: Any, other: Any) -> Any:
    """Choose between two values, or choose the other one."""
    return _either(number, Mux(condition, one, other), lambda: Mux(condition, other, one))


def reduced(number: int, name: str, value: Any) -> Any:
    """Call ``any`` or ``all`` of a value, or the other of both."""
    return _either(number, getattr(value, name)(), lambda: getattr(value, _WRONG[name])())


def negated(number: int, value: Any) -> Any:
    """Give a condition of one bit, or its opposite."""
    is_bit = isinstance(value, Value) and len(value) == 1
    return _either(number, value, lambda: ~value) if is_bit else value


class Mutate(ast.NodeTransformer):
    """Replace the operators in a module's functions."""

    def __init__(self, path: Path) -> None:
        self._path, self._depth = path, 0

    def _new(self, node: ast.AST, change: str) -> ast.Constant:
        number = len(MUTANTS) + 1
        MUTANTS[number] = Mutant(number, self._path, node.lineno, node.col_offset, change)
        return ast.Constant(number)

    def _call(self, name: str, node: ast.expr, *arguments: ast.expr) -> ast.expr:
        function = ast.Attribute(ast.Name(NAME, ast.Load()), name, ast.Load())
        return ast.copy_location(ast.Call(function, list(arguments), []), node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Look into functions, but not at what is evaluated where they are defined."""
        self._depth += 1
        node.body = [self.visit(statement) for statement in node.body]
        self._depth -= 1
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Replace ``&``, ``|``, ``^``, ``+`` and ``-``, or the number beside them."""
        self.generic_visit(node)
        symbol = _BINARY.get(type(node.op))
        if not self._depth or symbol is None:
            return node
        return self._two(node, symbol, node.left, node.right)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """Replace a comparison of two values, or the number that one is compared with."""
        self.generic_visit(node)
        symbol = _COMPARE.get(type(node.ops[0]))
        if not self._depth or symbol is None or len(node.ops) > 1:
            return node
        return self._two(node, symbol, node.left, node.comparators[0])

    def _two(self, node: ast.expr, symbol: str, left: ast.expr, right: ast.expr) -> ast.expr:
        if isinstance(right, ast.Constant) and isinstance(right.value, int):
            number = self._new(node, f"{symbol} {right.value} -> {symbol} {right.value + 1}")
            return self._call("number_of", node, number, ast.Constant(symbol), left, right)
        number = self._new(node, f"{symbol} -> {_WRONG[symbol]}")
        return self._call("binary", node, number, ast.Constant(symbol), left, right)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        """Replace ``~``."""
        self.generic_visit(node)
        if not self._depth or not isinstance(node.op, ast.Invert):
            return node
        return self._call("inverted", node, self._new(node, "~ -> nothing"), node.operand)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Replace ``Mux``, ``any`` and ``all``, and the condition of an ``If``."""
        is_name = bool(node.args) and isinstance(node.args[0], (ast.Name, ast.Attribute))
        self.generic_visit(node)
        function = node.func
        if not self._depth or node.keywords:
            return node
        if isinstance(function, ast.Name) and function.id == "Mux" and len(node.args) == 3:
            return self._call("chosen", node, self._new(node, "Mux's choices swapped"), *node.args)
        if isinstance(function, ast.Attribute) and function.attr in ("If", "Elif") and is_name:
            number = self._new(node, f"{function.attr} -> {function.attr} not")
            node.args = [self._call("negated", node.args[0], number, node.args[0])]
            return node
        if isinstance(function, ast.Attribute) and function.attr in ("any", "all") \
                and not node.args:
            name = function.attr
            return self._call("reduced", node, self._new(node, f"{name} -> {_WRONG[name]}"),
                              ast.Constant(name), function.value)
        return node


def mutated(path: Path) -> ast.Module:
    """Return a source as a syntax tree with all its mutants, registered in :data:`MUTANTS`."""
    tree = Mutate(path).visit(ast.parse(path.read_text()))
    head = ast.ImportFrom("tests.mutation", [ast.alias("operators", NAME)], 0)
    after = next(at for at, node in enumerate(tree.body)
                 if isinstance(node, (ast.Import, ast.ImportFrom)))
    tree.body.insert(after, head)
    return ast.fix_missing_locations(tree)
