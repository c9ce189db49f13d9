"""ExecuTorch: programs for phones and edge boxes, on XNNPACK's kernels."""

from __future__ import annotations

import copy
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch.export import ExportedProgram

from ...errors import UserError
from ...files import write_atomically
from ...runtime.metadata import KEY
from .base import Arrays, Format, Run

#: Where executorch is told of the compiler of flat buffers.
_FLATC = 'FLATC_EXECUTABLE'


class ExecuTorchFormat(Format):
    """One file for one size, in fp32. What XNNPACK has is handed over to it; the rest runs on ExecuTorch's own kernels.

    The text is what a method of the program returns, named :data:`...runtime.metadata.KEY`, as is usual for facts about
    a model there. Everything that depends on the weights and the size alone is computed while the file is written.
    """

    name = 'executorch'
    suffix = '.pte'
    extra = 'executorch'
    packages = ('executorch',)
    any_size = False

    def write(
        self,
        program: ExportedProgram,
        path: Path,
        outputs: Sequence[str],
        precision: str = 'fp32',
    ) -> None:
        """See :meth:`.base.Format.write`; the file knows no names, and takes the inputs in the program's order."""
        _check_program(program)
        with _quiet(), _own_flatc():
            from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
            from executorch.exir import to_edge_transform_and_lower
            from executorch.exir.passes.constant_prop_pass import constant_prop_pass

            # Folds in place, and what decomposing returns shares its weights with the program.
            core = constant_prop_pass(copy.deepcopy(program).run_decompositions({}))
            with _named_operators():
                lowered = to_edge_transform_and_lower(core, partitioner=[XnnpackPartitioner()]).to_executorch()
        path.write_bytes(lowered.buffer)
        _check_kernels(self.structure(path))

    def describe(self, path: Path, text: str) -> None:
        """Over a text that is there."""
        from executorch.exir import schema
        from executorch.exir._serialize._program import deserialize_pte_binary, serialize_pte_binary

        with _own_flatc():
            file = deserialize_pte_binary(path.read_bytes())
            plans = [plan for plan in file.program.execution_plan if plan.name != KEY]
            plans.append(
                schema.ExecutionPlan(
                    name=KEY,
                    container_meta_type=plans[0].container_meta_type,
                    values=[schema.EValue(schema.String(text))],
                    inputs=[],
                    outputs=[0],
                    chains=[schema.Chain(inputs=[], outputs=[], instructions=[], stacktrace=None)],
                    operators=[],
                    delegates=[],
                    non_const_buffer_sizes=[0],
                )
            )
            file.program.execution_plan = plans
            data = bytes(serialize_pte_binary(file))
        write_atomically(path, lambda scratch: scratch.write_bytes(data))

    def open(self, path: Path, outputs: Sequence[str] = ()) -> Run:
        """See :meth:`.base.Format.open`; arrays are taken in the order of the program's inputs."""
        from executorch.runtime import Runtime, Verification

        try:
            program = Runtime.get().load_program(path, verification=Verification.Minimal)
            method = program.load_method('forward')
        except Exception as error:  # its errors have no other class in common
            raise UserError(f'{path} cannot be opened by ExecuTorch: {error}') from error
        assert method is not None

        def run(arrays: Arrays) -> dict[str, np.ndarray]:
            found = method.execute([torch.from_numpy(np.ascontiguousarray(array)) for array in arrays.values()])
            return {name: value.numpy() for name, value in zip(outputs, found, strict=True)}

        return run

    def structure(self, path: Path) -> dict[str, int]:
        """Parts that were handed over, under the backend's name, and operators of ExecuTorch's own."""
        from executorch.exir import schema
        from executorch.exir._serialize._program import deserialize_pte_binary

        with _own_flatc():
            program = deserialize_pte_binary(path.read_bytes()).program
        counts: Counter[str] = Counter()
        for plan in program.execution_plan:
            for instruction in (instruction for chain in plan.chains for instruction in chain.instructions):
                call = instruction.instr_args
                if isinstance(call, schema.DelegateCall):
                    counts[plan.delegates[call.delegate_index].id] += 1
                elif isinstance(call, schema.KernelCall):
                    operator = plan.operators[call.op_index]
                    counts['.'.join(filter(None, (operator.name, operator.overload)))] += 1
        return dict(counts)


def memory_formats(program: ExportedProgram) -> list[str]:
    """Orders in memory that a program asks for, other than PyTorch's own.

    With ExecuTorch 1.2, features of programs that asked for channels last were wrong by 2 to 3 standard deviations, and
    other operators than XNNPACK's refuse such tensors.
    """
    plain = (torch.contiguous_format, torch.preserve_format)
    return [
        str(value)
        for node in program.graph.nodes
        for value in (*node.args, *node.kwargs.values())
        if isinstance(value, torch.memory_format) and value not in plain
    ]


def _check_program(program: ExportedProgram) -> None:
    """What can be known before the work of minutes; raises ``UserError``."""
    formats = memory_formats(program)
    if formats:
        raise UserError(
            f'The model asks for an order in memory ({", ".join(sorted(set(formats)))}), with which ExecuTorch files '
            'fail or give wrong numbers. Leave it out of the model, or take --format onnx.'
        )
    operators = [node.target for node in program.graph.nodes if isinstance(node.target, torch._ops.OpOverload)]
    foreign = sorted({str(operator) for operator in operators if operator.namespace != 'aten'})
    if foreign:
        raise _no_kernel(', '.join(foreign))


def _check_kernels(structure: dict[str, int]) -> None:
    """The runtime has every operator that was not handed over; raises ``UserError`` that names the others."""
    from executorch.runtime import Runtime

    runtime = Runtime.get()
    known = {*runtime.operator_registry.operator_names, *runtime.backend_registry.registered_backend_names}
    missing = sorted(set(structure) - known)
    if missing:
        raise _no_kernel(', '.join(missing))


def _no_kernel(what: str) -> UserError:
    return UserError(
        f'ExecuTorch has no kernel for an operator of the model: {what}. The backbone alone can be exported to it '
        '(--part backbone), or take --format onnx.'
    )


@contextmanager
def _named_operators() -> Iterator[None]:
    """An operator that is not in ExecuTorch's set is a mistake of the user's."""
    from executorch.exir.error import ExportError
    from torch._export.verifier import SpecViolationError

    try:
        yield
    except (ExportError, SpecViolationError) as error:
        raise _no_kernel(str(error).strip().partition('\n')[0].partition(' (')[0]) from error


@contextmanager
def _own_flatc() -> Iterator[None]:
    """With the compiler of flat buffers that executorch brings, which it looks for in the shell's path."""
    from executorch.data import bin as tools

    named = _FLATC in os.environ
    os.environ.setdefault(_FLATC, str(Path(tools.__path__[0]) / 'flatc'))
    try:
        yield
    finally:
        if not named:
            del os.environ[_FLATC]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on itself."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield
