"""Products of bytes: exact whole numbers, near the cosine, the same on every processor."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from pktui.memory.search.byte_products import GRAPH, products


def test_the_graph_is_the_one_that_its_comment_names() -> None:
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["question", "codes"], ["products"])],
        "p",
        [
            helper.make_tensor_value_info("question", TensorProto.UINT8, ["m", "k"]),
            helper.make_tensor_value_info("codes", TensorProto.INT8, ["k", "n"]),
        ],
        [helper.make_tensor_value_info("products", TensorProto.INT32, ["m", "n"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 10)], ir_version=7)
    assert onnx.load_model_from_string(GRAPH) == model


def test_nothing_is_cut_off_where_all_numbers_are_as_large_as_they_can_be() -> None:
    for sign in (1, -1):
        codes = np.full((384, 3), 127 * sign, np.int8)
        sums = codes.sum(axis=0, dtype=np.int32)
        assert np.allclose(products(codes, sums, np.ones(384, np.float32)), 127 * 384 * sign)


def test_products_are_near_the_cosine() -> None:
    random = np.random.default_rng(1)
    rows = random.standard_normal((500, 384)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    scales = np.abs(rows).max(axis=1) / 127
    codes = np.rint(rows / scales[:, None]).astype(np.int8).T.copy()
    sums = codes.sum(axis=0, dtype=np.int32)
    found = products(codes, sums, rows[7]) * scales
    assert np.abs(found - rows @ rows[7]).max() < 0.004
    assert not products(codes, sums, np.zeros(384, np.float32)).any()
