"""`check --backend`: which ops of the converted model run where."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import onnx
import pytest
from models import array, model_of
from onnx import ModelProto, TensorProto, helper

import mnncompat
from mnncompat import UsageError
from mnncompat.backends.analyze import BackendAnalysis, analyze
from mnncompat.backends.findings import with_backends
from mnncompat.backends.node_origins import NodeOrigins
from mnncompat.backends.placement import Where, place, where_runs
from mnncompat.backends.registry import Backend, backend
from mnncompat.cli import main
from mnncompat.graph.model_file import Model, from_proto
from mnncompat.inference.model_view import view_model
from mnncompat.mnn import MnnGraph, MnnOp
from mnncompat.report import OutputFormat, render
from mnncompat.results.backend_placement import Fallback, Placement
from mnncompat.results.diagnostics import CheckResult, Diagnostic, Severity
from mnncompat.results.failures import Failure, FailureKind, Stage
from mnncompat.results.outcomes import FixResult
from mnncompat.support.releases import installed_version

VERSION = "3.6.1"


def on(name: str) -> Backend:
    return backend(name, VERSION)


def graph(*ops: tuple[str, Sequence[int], Sequence[int]], body: str = "") -> MnnGraph:
    """A graph of (type, inputs, outputs)."""
    made = [MnnOp(kind, f"{kind}{at}", tuple(i), tuple(o), (), body) for at, (kind, i, o) in enumerate(ops)]
    return MnnGraph(ops=tuple(made), outputs=(), version=VERSION)


def chain(*types: str) -> MnnGraph:
    """An input, and ops that each read the one before."""
    return graph(("Input", (), (0,)), *((kind, (at,), (at + 1,)) for at, kind in enumerate(types)))


@pytest.mark.parametrize(
    ("name", "op_type", "where"),
    [
        ("nnapi", "Convolution", Where.DIRECT),
        ("nnapi", "Concat", Where.LOWERED),  # a view
        ("nnapi", "TanH", Where.LOWERED),  # becomes UnaryOp
        ("nnapi", "MatMul", Where.ON_CPU),  # only the loop compiler lowers it, and nnapi does not register it
        ("nnapi", "ELU", Where.ON_CPU),  # registered, but lowered before nnapi is asked, and into Select too
        ("nnapi", "Where", Where.ON_CPU),
        ("coreml", "MatMul", Where.DIRECT),
        ("coreml", "GatherV2", Where.NOWHERE),
        ("coreml", "ConvTranspose3D", Where.LOWERED),
        ("opencl", "GatherV2", Where.LOWERED),
        ("opencl", "MatMul", Where.DIRECT),
        ("opencl-image", "ArgMax", Where.ON_CPU),
        ("opencl-buffer", "ArgMax", Where.DIRECT),
        ("qnn", "Concat", Where.DIRECT),
        ("qnn", "PReLU", Where.ON_CPU),
        ("qnn", "SliceTf", Where.NOWHERE),
        ("opengl", "Flatten", Where.NOWHERE),
        ("metal", "If", Where.CONTROL_FLOW),
        ("metal", "NoSuchOp", Where.NOWHERE),
    ],
)
def test_where_an_op_type_runs(name: str, op_type: str, where: Where) -> None:
    assert where_runs(op_type, on(name)) is where


@pytest.mark.parametrize(
    ("types", "partitions"),
    [
        ((), 0),
        (("Convolution", "ReLU", "Concat"), 1),
        (("MatMul",), 1),
        (("Convolution", "MatMul", "MatMul", "ReLU"), 3),
        (("MatMul", "ReLU", "MatMul", "ReLU"), 4),
        (("ReLU", "If", "ReLU"), 2),  # the host runs If, and a module on each side
        (("ReLU", "NonMaxSuppressionV2", "MatMul"), 3),  # a module of its own
    ],
)
def test_partitions_are_runs_on_one_side(types: tuple[str, ...], partitions: int) -> None:
    assert place(chain(*types), on("nnapi")).partitions == partitions


def test_computing_shapes_is_no_fallback() -> None:
    """The idiom x.view(x.size(0), -1): GatherV2 on a shape would be nowhere on CoreML, but runs at resize."""
    made = graph(
        ("Input", (), (0,)),
        ("ReLU", (0,), (1,)),
        ("Shape", (1,), (2,)),
        ("Const", (), (3,)),
        ("GatherV2", (2, 3), (4,)),
        ("Concat", (4, 3), (5,)),
        ("Reshape", (1, 5), (6,)),
    )
    placement = place(made, on("coreml"))
    expected = Placement(direct=1, lowered=1, at_resize=3, partitions=1)
    assert placement == expected


def test_the_same_op_on_values_falls_back() -> None:
    made = graph(("Input", (), (0,)), ("Const", (), (1,)), ("GatherV2", (1, 0), (2,)), ("ReLU", (2,), (3,)))
    placement = place(made, on("coreml"))
    assert (placement.direct, placement.nowhere, placement.at_resize, placement.partitions) == (1, 1, 0, 2)
    (fallback,) = placement.fallbacks
    assert (fallback.op_type, fallback.missing, fallback.on_cpu) == ("GatherV2", ("GatherV2",), False)


def test_a_shape_that_depends_on_values_ends_partitions() -> None:
    fixed = graph(("Input", (), (0,)), ("ReLU", (0,), (1,)), ("Const", (), (2,)), ("Reshape", (1, 2), (3,)))
    free = graph(("Input", (), (0,)), ("ReLU", (0,), (1,)), ("Input", (), (2,)), ("Reshape", (1, 2), (3,)))
    assert place(fixed, on("opencl")).partitions == 1
    assert place(free, on("opencl")).partitions == 2


def test_bodies_are_graphs_of_their_own() -> None:
    outer = graph(("Input", (), (0,)), ("ReLU", (0,), (1,)), ("Const", (), (2,)), ("If", (1,), (3,)))
    # Value 2 of the body is not the constant of the main graph.
    body = graph(("Input", (), (2,)), ("MatMul", (2,), (3,)), body="then")
    placement = place(replace(outer, ops=outer.ops + body.ops), on("nnapi"))
    assert (placement.direct, placement.on_cpu, placement.control_flow, placement.partitions) == (1, 1, 1, 2)


def test_fallbacks_are_grouped_and_keep_their_origin() -> None:
    placement = place(chain("MatMul", "ELU", "MatMul"), on("nnapi"), lambda op: (f"node of {op.name}",))
    products, elu = placement.fallbacks
    assert (products.op_type, products.count, products.lowered) == ("MatMul", 2, ())
    assert products.nodes == ("node of MatMul1", "node of MatMul3")
    assert (elu.lowered, elu.missing) == (("BinaryOp", "Select", "UnaryOp"), ("Select",))
    assert placement.elsewhere == 3


def test_names_tell_where_an_op_comes_from() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="first"),
        helper.make_node("MatMul", ["a", "w"], ["y"], name="second"),
    ]
    view = view_model(from_proto(model_of(nodes, {"x": [2, 4]}, {"y": [2, 3]}, {"w": array(4, 3)})))
    ops = (
        MnnOp("ReLU", "a", (0,), (1,), ("a",)),
        MnnOp("Reshape", "Reshape7", (1,), (2,), ("Reshape7",)),
        MnnOp("Convolution", "y__matmul_converted", (2,), (3,), ("y__matmul_converted",)),
        MnnOp("ConvertTensor", "y___tr4z", (3,), (4,), ("y___tr4z",)),
        MnnOp("UnaryOp", "lost", (9,), (10,), ("lost",)),
    )
    origins = NodeOrigins(view, MnnGraph(ops=ops, outputs=(), version=VERSION))
    found = [[location.node for location in origins.of(op)] for op in ops]
    assert found == [["first"], ["second"], ["second"], ["second"], []]


def shared_weight() -> ModelProto:
    """Six layers with one weight: MNN's converter leaves a weight with more than four readers to MatMul."""
    nodes, value = [helper.make_node("Flatten", ["x"], ["f"], name="flatten")], "f"
    for layer in range(6):
        nodes += [
            helper.make_node("MatMul", [value, "w"], [f"m{layer}"], name=f"layer{layer}"),
            helper.make_node("Relu", [f"m{layer}"], [f"r{layer}"]),
        ]
        value = f"r{layer}"
    return model_of(nodes, {"x": [1, 3, 2, 2]}, {value: [1, 12]}, {"w": array(12, 12)})


def product_of_activations() -> ModelProto:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "t"], ["y"], name="product"),
    ]
    return model_of(nodes, {"x": [4, 6]}, {"y": [4, 4]}, {})


def lookup() -> ModelProto:
    nodes = [helper.make_node("Gather", ["table", "i"], ["y"], name="lookup", axis=0)]
    model = model_of(nodes, {}, {"y": [3, 8]}, {"table": array(10, 8)})
    model.graph.input.append(helper.make_tensor_value_info("i", TensorProto.INT64, [3]))
    return model


def refused() -> ModelProto:
    model = model_of([helper.make_node("Thing", ["x"], ["y"], domain="my")], {"x": [2]}, {"y": [2]}, {})
    model.opset_import.append(helper.make_opsetid("my", 1))
    return model


def about_backends(result: CheckResult) -> list[Diagnostic]:
    return [item for item in result.diagnostics if item.code in ("MNN004", "MNN005", "MNN006", "MNN092")]


def test_a_rewrite_that_helps_is_named() -> None:
    result = mnncompat.check(shared_weight(), backend="nnapi")
    (report,) = result.backends
    assert (report.backend, report.mnn_version, report.compiler) == ("nnapi", installed_version(), "geometry")
    assert "fully-connected-to-convolution" in report.rewrites
    assert report.placement is not None
    assert report.fixed is not None
    assert (report.placement.on_cpu, report.fixed.elsewhere, report.fixed.partitions) == (6, 0, 1)
    assert report.placement.partitions > report.fixed.partitions
    fallback, summary = about_backends(result)
    assert (fallback.code, fallback.severity, fallback.location.node) == ("MNN005", Severity.WARNING, "layer0")
    assert (fallback.remedy, fallback.fixable) == ("fully-connected-to-convolution", True)
    assert fallback.message.startswith("6 MatMul ops (from layer0, layer1, layer2 and 3 more) on the CPU")
    assert "compare outputs on the device" in fallback.hint
    assert summary.message.endswith("in 1 partition")


def test_a_rewrite_that_does_not_help_is_not_named() -> None:
    result = mnncompat.check(product_of_activations(), backend="nnapi")
    (report,) = result.backends
    assert report.placement is not None
    assert report.placement.on_cpu == 1
    fallback, _ = about_backends(result)
    assert (fallback.location.node, fallback.remedy, fallback.fixable) == ("product", None, False)


def test_an_op_that_nothing_runs_is_an_error() -> None:
    found, summary = about_backends(mnncompat.check(lookup(), backend=["coreml"]))
    assert (found.code, found.severity, found.status, found.location.node) == (
        "MNN006",
        Severity.ERROR,
        "refused",
        "lookup",
    )
    assert found.message == "1 GatherV2 op (from lookup): neither coreml nor the CPU registers GatherV2"
    assert "1 nowhere (GatherV2)" in summary.message
    assert [item.code for item in about_backends(mnncompat.check(lookup(), backend="opencl"))] == ["MNN004"]


def surveyed(model: Model, placement: Placement | None, fixed: Placement | None) -> CheckResult:
    """The findings if the model, which MNN801 rewrites, were placed like this on OpenGL."""
    found = analyze(model, ["opengl"])
    report = replace(found.reports[0], placement=placement, fixed=fixed)
    failure = Failure(kind=FailureKind.REFUSED, stage=Stage.CONVERT, message="no") if placement is None else None
    empty = CheckResult(model="", mnn_version=VERSION, nodes=1)
    return with_backends(empty, model, BackendAnalysis(reports=(report,), failure=failure, fixed=found.fixed))


SCALE = Fallback(op_type="Scale", count=2, missing=("Scale",), nodes=("layer0", "layer1"))
FLATTEN = Fallback(op_type="Flatten", count=1, missing=("Flatten",), on_cpu=False)


@pytest.mark.parametrize(
    ("fixed", "fixable", "hint"),
    [
        (None, False, ""),
        (Placement(direct=5, partitions=1), True, ""),
        (
            Placement(direct=4, on_cpu=1, partitions=2, fallbacks=(replace(SCALE, count=1),)),
            False,
            "`mnncompat fix` leaves 1 of them",
        ),
        (Placement(direct=3, on_cpu=2, partitions=2, fallbacks=(SCALE,)), False, ""),
        (Placement(direct=4, nowhere=1, partitions=2, fallbacks=(FLATTEN,)), False, ""),  # from bad to worse
    ],
)
def test_a_rewrite_is_a_remedy_if_it_helps(fixed: Placement | None, fixable: bool, hint: str) -> None:  # noqa: FBT001
    before = Placement(direct=3, on_cpu=2, partitions=3, fallbacks=(SCALE,))
    fallback, summary = surveyed(from_proto(shared_weight()), before, fixed).diagnostics
    assert (fallback.location.node, fallback.fixable, fallback.remedy is not None) == ("layer0", fixable, fixable)
    assert fallback.hint == hint
    assert ("after `mnncompat fix`" in summary.message) == (fixed is not None)


def test_a_model_that_converts_only_after_its_rewrites() -> None:
    result = surveyed(from_proto(shared_weight()), None, Placement(direct=5, partitions=1))
    failed, summary = result.diagnostics
    assert (failed.code, failed.severity) == ("MNN092", Severity.ERROR)
    assert summary.message == (
        "opengl: as it is the model does not convert; after `mnncompat fix`: 5 of 5 ops registered, in 1 partition"
    )


@pytest.mark.parametrize("name", ["nnapi", "coreml", "opencl"])
def test_the_model_of_the_tutorial_stays_on_the_backend(tutorial: Path, name: str) -> None:
    (report,) = mnncompat.check(tutorial, backend=name).backends
    for placement in (report.placement, report.fixed):
        assert placement is not None
        assert (placement.elsewhere, placement.partitions, placement.fallbacks) == (0, 1, ())
    assert report.placement is not None
    assert report.fixed is not None
    assert report.placement.at_resize > 20
    assert report.fixed.at_resize == 0
    assert report.fixed.direct + report.fixed.lowered < report.placement.direct + report.placement.lowered


def test_branches_are_placed(tmp_path: Path) -> None:
    def branch(name: str, op: str) -> onnx.GraphProto:
        out = helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, [2, 3])
        nodes = [
            helper.make_node(op, ["x"], [f"{name}_in"]),
            helper.make_node("Elu", [f"{name}_in"], [f"{name}_out"], name=f"{name}_elu"),
        ]
        return helper.make_graph(nodes, name, [], [out])

    node = helper.make_node("If", ["c"], ["y"], then_branch=branch("then", "Neg"), else_branch=branch("else", "Abs"))
    model = model_of([node], {"x": [2, 3]}, {"y": [2, 3]}, {})
    model.graph.input.append(helper.make_tensor_value_info("c", TensorProto.BOOL, []))
    path = tmp_path / "branches.onnx"
    onnx.save(model, path)
    (report,) = mnncompat.check(path, backend="nnapi").backends
    assert report.placement is not None
    assert (report.placement.control_flow, report.placement.on_cpu) == (1, 2)
    (elu,) = report.placement.fallbacks
    assert [node.rsplit("/", 1)[-1] for node in elu.nodes] == ["then_elu", "else_elu"]


def test_a_model_that_does_not_convert_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "refused.onnx"
    onnx.save(refused(), path)
    assert main(["check", str(path), "--backend", "nnapi", "--output-format", "json"]) == 1
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert "MNN092" in [item["code"] for item in result["diagnostics"]]
    (report,) = result["backends"]
    assert (report["placement"], report["fixed"]) == (None, None)


@pytest.fixture
def shared(tmp_path: Path) -> str:
    path = tmp_path / "shared.onnx"
    onnx.save(shared_weight(), path)
    return str(path)


def test_the_command(shared: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path(shared).read_bytes()
    only = ["--ignore", "MNN8,MNN002"]  # nothing is promised of rewrites that are ignored
    assert main(["check", shared, "--backend", "nnapi", *only]) == 1
    written = capsys.readouterr().out
    assert "warning[MNN005] cpu-fallback" in written
    assert "mnncompat fix" not in written
    assert main(["check", shared, "--backend", "nnapi", "--fail-on", "error", *only]) == 0
    assert main(["check", shared, "--backend", "coreml", *only]) == 0
    assert "MNN004" in capsys.readouterr().out
    assert Path(shared).read_bytes() == before
    assert [path.name for path in Path(shared).parent.iterdir()] == ["shared.onnx"]


def test_several_backends(shared: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", shared, "--backend", "nnapi,coreml", "--backend", "opencl", "--output-format", "concise"])
    summaries = [line.split(" MNN004 ")[1] for line in capsys.readouterr().out.splitlines() if " MNN004 " in line]
    assert [summary.partition(":")[0] for summary in summaries] == ["nnapi", "coreml", "opencl"]


@pytest.mark.parametrize("output_format", list(OutputFormat))
def test_every_format_tells(output_format: OutputFormat) -> None:
    result = mnncompat.check(shared_weight(), backend="nnapi")
    written = render([result], output_format)
    assert "MNN005" in written
    assert "nnapi does not register MatMul" in written


def test_json_follows_its_schema(repository: Path) -> None:
    result = mnncompat.check(shared_weight(), backend=["nnapi", "opencl"])
    document: dict[str, Any] = json.loads(render([result], OutputFormat.JSON))
    schema = json.loads((repository / "mnncompat" / "report" / "output.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(document)
    nnapi, opencl = document["results"][0]["backends"]
    assert nnapi["placement"]["fallbacks"][0]["op_type"] == "MatMul"
    assert opencl["placement"]["fallbacks"] == []


@pytest.mark.parametrize("code", ["MNN004", "MNN005", "MNN006"])
def test_the_rules_are_explained(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rule", code]) == 0
    assert "rules/geometry.json" in capsys.readouterr().out


def test_usage(shared: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", shared, "--backend", "nnap"]) == 2
    assert "there are: coreml, cuda, hiai" in capsys.readouterr().err
    assert main(["check", shared, "--backend", "nnapi", "--mnn", "3.0.0"]) == 2
    assert "--backend measures the installed MNN" in capsys.readouterr().err
    with pytest.raises(UsageError, match=r"not 3\.0\.0"):
        mnncompat.check(shared, backend="nnapi", mnn="3.0.0")


def test_the_configuration(
    shared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.mnncompat]\nbackend = ["nnapi"]\nfail-on = "never"\n')
    assert main(["check", shared]) == 0
    assert "MNN005" in capsys.readouterr().out


def test_nothing_is_published_and_the_model_is_not_changed() -> None:
    proto = shared_weight()
    before = proto.SerializeToString()
    found = analyze(from_proto(proto), ["nnapi"])
    assert isinstance(found.fixed, FixResult)
    assert found.fixed.proof is None
    assert proto.SerializeToString() == before


def test_what_fix_does_about_backends_depends_on_the_chosen_rules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Findings about backends choose no rewrite; a chosen rule, by its own code or that of its remedy, does."""
    layer = helper.make_node("MatMul", ["x", "w"], ["y"])
    path = tmp_path / "model.onnx"
    onnx.save(model_of([layer], {"x": (2, 8)}, {"y": (2, 4)}, {"w": array(8, 4)}), path)

    def told(*words: str) -> str:
        main(["check", str(path), "--backend", "opengl", *words])
        return capsys.readouterr().out

    assert "after `mnncompat fix`" in told("--select", "MNN004")
    assert "after `mnncompat fix`" in told("--select", "MNN004,MNN801")
    assert "after `mnncompat fix`" not in told("--select", "MNN004,MNN817")
    assert "after `mnncompat fix`" not in told("--ignore", "MNN801")
