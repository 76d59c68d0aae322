"""Forests of ai.onnx.ml as tables: every node of every tree has a number, and a row in each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mnncompat.graph.tensor_values import tensor_array
from mnncompat.rewrites.core.subgraph_builder import NotApplicable
from mnncompat.rewrites.ml.scores import whole

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_BELOW, _SAME, _ABOVE, _NAN = range(4)
MODES = {
    "BRANCH_LEQ": (1, 1, 0, 0),
    "BRANCH_LT": (1, 0, 0, 0),
    "BRANCH_GTE": (0, 1, 1, 0),
    "BRANCH_GT": (0, 0, 1, 0),
    "BRANCH_EQ": (0, 1, 0, 0),
    "BRANCH_NEQ": (1, 0, 1, 1),
}
"""Whether a node is true for a value below, equal to and above its number, and for one that is no number."""
_LEAF = "LEAF"
_NUMBERED = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER")
_EQUAL, _MEMBER = _NUMBERED.index("BRANCH_EQ"), _NUMBERED.index("BRANCH_MEMBER")
_DEEPEST = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """Trees as tables by node; leaves lead to themselves.

    Attributes:
        roots: The node that each tree begins with.
        features: The column that a node compares.
        numbers: What it is compared with.
        yes: The node that follows if the comparison holds.
        no: The node that follows otherwise.
        kinds: (nodes, 4): see `MODES`.
        weights: (nodes, targets): what a leaf adds.
        has: (nodes, targets): whether it adds anything.
        depth: The largest number of comparisons.
    """

    roots: np.ndarray
    features: np.ndarray
    numbers: np.ndarray
    yes: np.ndarray
    no: np.ndarray
    kinds: np.ndarray
    weights: np.ndarray
    has: np.ndarray
    depth: int


def array_of(node: NodeFacts, name: str, element: type) -> np.ndarray:
    """An attribute of numbers, as a list or as a tensor; empty if it is not stated."""
    tensor = node.attribute(f"{name}_as_tensor")
    if tensor is not None:
        return np.asarray(tensor_array(tensor).reshape(-1))
    return np.asarray(node.attribute(name) or (), element)


def classic(node: NodeFacts, prefix: str, targets: int, element: type) -> Forest:
    """Of TreeEnsembleClassifier and TreeEnsembleRegressor.

    Args:
        node: The node.
        prefix: Of the attributes of leaves, ``class`` or ``target``.
        targets: Number of classes or targets.
        element: Of the numbers.

    Raises:
        NotApplicable: Nodes lead to none, or trees are too deep.
    """
    trees, ids = whole(node, "nodes_treeids"), whole(node, "nodes_nodeids")
    place = {(int(tree), int(each)): row for row, (tree, each) in enumerate(zip(trees, ids, strict=True))}
    modes = list(node.attribute("nodes_modes") or ())
    own = np.arange(len(ids))
    leaf = np.asarray([mode == _LEAF for mode in modes])
    follow = []
    for name in ("nodes_truenodeids", "nodes_falsenodeids"):
        found = [place.get((int(t), int(each)), -1) for t, each in zip(trees, whole(node, name), strict=True)]
        follow.append(np.where(leaf, own, found))
    if min(each.min() for each in follow) < 0:
        raise NotApplicable("a node of a tree leads to none")
    weights: np.ndarray = np.zeros((len(ids), targets), element)
    has = np.zeros((len(ids), targets), bool)
    parts = (whole(node, f"{prefix}_{name}") for name in ("treeids", "nodeids", "ids"))
    for tree, each, target, weight in zip(*parts, array_of(node, f"{prefix}_weights", element), strict=True):
        row = place[int(tree), int(each)]
        weights[row, target] += weight
        has[row, target] = True
    missing = whole(node, "nodes_missing_value_tracks_true")
    roots = own[np.r_[True, trees[1:] != trees[:-1]]]
    return _forest(
        roots,
        whole(node, "nodes_featureids"),
        array_of(node, "nodes_values", element),
        follow,
        modes,
        missing,
        weights,
        has,
    )


def newest(node: NodeFacts, targets: int) -> Forest:
    """Of TreeEnsemble: inner nodes and leaves are numbered apart.

    Raises:
        NotApplicable: A node compares with an empty set, or trees are too deep.
    """
    splits, codes, features, missing, ends = without_sets(_inner_nodes(node))
    leaves = tensor_array(node.attribute("leaf_weights"))
    inner, count = len(splits), len(leaves)
    follow = [np.concatenate([np.where(is_leaf, to + inner, to), np.arange(count) + inner]) for to, is_leaf in ends]
    weights, has = np.zeros((inner + count, targets), leaves.dtype), np.zeros((inner + count, targets), bool)
    rows = np.arange(count) + inner
    weights[rows, whole(node, "leaf_targetids")] = leaves
    has[rows, whole(node, "leaf_targetids")] = True
    modes = [_NUMBERED[code] for code in codes] + [_LEAF] * count
    return _forest(
        whole(node, "tree_roots"),
        np.concatenate([features, np.zeros(count, np.int64)]),
        np.concatenate([splits, np.zeros(count, splits.dtype)]),
        follow,
        modes,
        np.concatenate([missing, np.zeros(count, np.int64)]),
        weights,
        has,
    )


class InnerNodes(NamedTuple):
    """Nodes of TreeEnsemble that compare.

    Attributes:
        splits: What each compares with.
        codes: How, as ONNX numbers it.
        features: The columns.
        missing: Whether no number makes it true.
        ends: Where it leads if it is true, and if it is not: numbers, and whether they are those of leaves.
        sets: What the nodes compare with that compare with a set, in their order.
    """

    splits: np.ndarray
    codes: np.ndarray
    features: np.ndarray
    missing: np.ndarray
    ends: list[tuple[np.ndarray, np.ndarray]]
    sets: list[np.ndarray]


def _inner_nodes(node: NodeFacts) -> InnerNodes:
    splits = tensor_array(node.attribute("nodes_splits"))
    ends = []
    for name, is_leaf in (("true", "nodes_trueleafs"), ("false", "nodes_falseleafs")):
        ends.append((whole(node, f"nodes_{name}nodeids"), whole(node, is_leaf) != 0))
    missing = whole(node, "nodes_missing_value_tracks_true")
    stated = node.attribute("membership_values")
    members = np.zeros(0) if stated is None else tensor_array(stated)
    parts = np.split(members, np.flatnonzero(np.isnan(members)))
    return InnerNodes(
        splits,
        tensor_array(node.attribute("nodes_modes")).astype(np.int64),
        whole(node, "nodes_featureids"),
        missing if len(missing) else np.zeros(len(splits), np.int64),
        ends,
        [each[~np.isnan(each)] for each in parts],
    )


def without_sets(
    given: InnerNodes,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """The nodes with a chain of comparisons for equality in place of each with a set.

    The first of a chain has the number of the node, the others come behind all nodes. Each leads where the node leads
    if it holds, and to the next one otherwise.

    Raises:
        NotApplicable: A set is empty, or missing.
    """
    rows = [list(each) for each in zip(given.splits, given.codes, given.features, given.missing, strict=True)]
    ends = [list(zip(to, is_leaf, strict=True)) for to, is_leaf in given.ends]
    sets = iter(given.sets)
    for row in np.flatnonzero(given.codes == _MEMBER).tolist():
        members = next(sets, np.zeros(0))
        if not len(members):
            raise NotApplicable("a node of a tree compares with an empty set")
        otherwise = ends[1][row]
        rows[row][:2] = members[0], _EQUAL
        last = row
        for member in members[1:]:
            ends[1][last] = (len(rows), False)
            last = len(rows)
            rows.append([member, _EQUAL, *rows[row][2:]])
            ends[0].append(ends[0][row])
            ends[1].append(otherwise)
        ends[1][last] = otherwise
    splits, codes, features, missing = (np.asarray(each) for each in zip(*rows, strict=True))
    places = [(np.asarray([to for to, _ in each]), np.asarray([leaf for _, leaf in each], bool)) for each in ends]
    return splits.astype(given.splits.dtype), codes, features, missing, places


def _forest(
    roots: np.ndarray,
    features: np.ndarray,
    numbers: np.ndarray,
    follow: list[np.ndarray],
    modes: list[str],
    missing: np.ndarray,
    weights: np.ndarray,
    has: np.ndarray,
) -> Forest:
    unknown = next((mode for mode in modes if mode not in MODES and mode != _LEAF), None)
    if unknown is not None:
        raise NotApplicable(f"a node of a tree is {unknown}")
    kinds = np.asarray([MODES.get(mode, (0, 0, 0, 0)) for mode in modes], bool)
    leaf = np.asarray([mode == _LEAF for mode in modes])
    if len(missing):
        kinds[:, _NAN] |= (missing != 0) & ~leaf
    return Forest(
        roots=roots,
        features=np.where(leaf, 0, features),
        numbers=np.where(leaf, np.zeros((), numbers.dtype), numbers),
        yes=follow[0],
        no=follow[1],
        kinds=kinds,
        weights=weights,
        has=has,
        depth=_depth(roots, follow, leaf),
    )


def _depth(roots: np.ndarray, follow: list[np.ndarray], leaf: np.ndarray) -> int:
    reached = np.unique(roots)
    for depth in range(_DEEPEST + 1):
        reached = reached[~leaf[reached]]
        if not len(reached):
            return depth
        reached = np.unique(np.concatenate([each[reached] for each in follow]))
    raise NotApplicable(f"a tree is deeper than {_DEEPEST} comparisons")
