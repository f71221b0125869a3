"""Mutants are the right gateware until one is in force, and each then changes one operator.

Method: a source with one operator of each kind is mutated and evaluated by Amaranth's simulator.
"""

import importlib.machinery
import importlib.util

import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.sim import Simulator

from tests.mutation.__main__ import FOLDER, TESTS, Loader, main
from tests.mutation.operators import MUTANT, MUTANTS
from tests.mutation.targets import TARGETS

SOURCE = '''
from amaranth.hdl import Mux

WIDE = 3 & 2                                # at import: no logic


def logic(a, b, s):
    wide = 1 + 2
    return [a & b, a | b, a ^ b, a + b, a - b, ~a, a == b, a != b, a < b, a <= b, a > 1, a >= b,
            Mux(a[0], a, b), a.any(), a.all(), a == wide, s - 1, s < a]
'''
RIGHT = {  # by a, b, s: what each expression is
    (5, 3, -2): [1, 7, 6, 8, 2, 2, 0, 1, 0, 0, 1, 1, 5, 1, 0, 0, -3, 1],
    (3, 3, 3): [3, 3, 0, 6, 0, 4, 1, 0, 0, 1, 1, 1, 3, 1, 0, 1, 2, 0],
    (2, 5, 1): [0, 7, 7, 7, -3, 5, 0, 1, 1, 1, 1, 0, 5, 1, 0, 0, 0, 1],
    (7, 0, 0): [0, 7, 7, 7, 7, 0, 0, 1, 0, 0, 1, 1, 7, 1, 1, 0, -1, 1]}


def loaded(path):
    """Return the mutated source as a module."""
    spec = importlib.machinery.ModuleSpec("mutated_source", Loader("mutated_source", str(path)))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Values of all expressions, by mutant and inputs."""
    path = tmp_path_factory.mktemp("mutants") / "source.py"
    path.write_text(SOURCE)
    first = len(MUTANTS) + 1
    module = loaded(path)
    a, b, s = Signal(3), Signal(3), Signal(signed(4))
    m, found = Module(), []
    for number, value in enumerate(module.logic(a, b, s)):
        found.append(Signal(value.shape(), name=f"value_{number}"))
        m.d.comb += found[-1].eq(value)
    numbers = [0, *range(first, len(MUTANTS) + 1)]
    seen: dict[int, dict] = {number: {} for number in numbers}

    async def look(context):
        for number in numbers:
            context.set(MUTANT, number)
            for inputs in RIGHT:
                for signal, value in zip((a, b, s), inputs, strict=True):
                    context.set(signal, value)
                seen[number][inputs] = [context.get(signal) for signal in found]
    simulator = Simulator(m)
    simulator.add_testbench(look)
    simulator.run()
    return seen


def test_without_a_mutant_everything_is_right(outcomes):
    assert outcomes[0] == RIGHT


def test_each_mutant_changes_one_expression_and_no_other(outcomes):
    changed = set()
    for number, seen in outcomes.items():
        if number and MUTANTS[number].is_hardware:
            places = {place for inputs, values in seen.items()
                      for place, right in enumerate(RIGHT[inputs]) if values[place] != right}
            assert len(places) == 1, MUTANTS[number]
            changed |= places
    assert changed == set(range(len(RIGHT[5, 3, -2])))


def test_what_is_no_logic_has_no_mutant(outcomes):
    assert not any(MUTANTS[number].is_hardware for number in outcomes
                   if number and MUTANTS[number].line in (4, 8))


def test_targets_name_modules_and_tests_that_are_there():
    for target in TARGETS.values():
        assert all((FOLDER / f"{name}.py").is_file() for name in target.modules)
        assert all((TESTS / name).is_file() for name in target.tests)


def test_an_unknown_target_is_refused_with_a_sentence(capsys):
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert "there is no target 'nothing'; there are receive, " in capsys.readouterr().err
