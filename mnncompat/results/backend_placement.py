"""Where the ops of a converted model run on a backend: what `mnncompat check --backend` finds, as plain values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """Ops of one type that do not run on the backend, or only in part.

    Attributes:
        op_type: MNN's op type in the converted file.
        count: Number of ops.
        lowered: Op types that MNN's geometry lowers it into first; empty if it is not lowered.
        missing: Op types that the backend does not register, of `lowered` or the op type itself.
        on_cpu: True if MNN's CPU backend registers all of `missing`; False if nothing can run them.
        nodes: Names of the ONNX nodes that they come from, as far as they can be found.
    """

    op_type: str
    count: int
    lowered: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    on_cpu: bool = True
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where the ops of one converted model run, by op type. Inputs and constants are not ops here.

    Attributes:
        direct: Ops that the backend registers.
        lowered: Ops that MNN's geometry lowers into ops that the backend registers.
        on_cpu: Ops that fall back to the CPU, as a whole or in part.
        nowhere: Ops that need an op type which neither the backend nor the CPU registers.
        at_resize: Ops that only compute shapes: MNN runs them on the CPU when a session is resized.
        control_flow: If and While with a body: MNN's `Module` runs them on the host, and their bodies as models of
            their own.
        partitions: Maximal runs of ops, in file order, that all run on the backend or all do not; see
            `mnncompat.backends.placement`.
        fallbacks: What is in `on_cpu` and `nowhere`, by op type, in file order.
    """

    direct: int = 0
    lowered: int = 0
    on_cpu: int = 0
    nowhere: int = 0
    at_resize: int = 0
    control_flow: int = 0
    partitions: int = 0
    fallbacks: tuple[Fallback, ...] = ()

    @property
    def elsewhere(self) -> int:
        """Ops that do not run on the backend."""
        return self.on_cpu + self.nowhere


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendReport:
    """What `mnncompat check --backend NAME` found for one model and one backend.

    Attributes:
        backend: Name of the backend.
        mnn_version: The installed MNN, which converted the model.
        compiler: What MNN does to ops before it asks the backend: ``geometry``, ``loop`` or ``origin``, as
            `rules/geometry.json` explains.
        execution: ``op`` if values cross between backend and CPU within a run, ``graph`` if they do not.
        placement: The model as it is; None if MNN cannot convert it.
        fixed: The model after `mnncompat fix`; None if no rewrite applies or MNN cannot convert the result.
        rewrites: Names of the rewrites that `mnncompat fix` applies.
    """

    backend: str
    mnn_version: str
    compiler: str
    execution: str
    placement: Placement | None = None
    fixed: Placement | None = None
    rewrites: tuple[str, ...] = ()
