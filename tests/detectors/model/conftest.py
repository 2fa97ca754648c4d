"""A small labelled set and a model trained on it."""

from __future__ import annotations

from random import Random

import pyarrow as pa
import pytest

from detectors.model.labelled import Labelled
from detectors.model.linear import LinearModel
from detectors.model.train import TrainOptions, train

WORDS = {
    "gambling": ["百家乐", "下注", "彩金", "返水", "时时彩", "老虎机"],
    "fraud": ["刷单", "垫付", "日结", "佣金", "做任务", "先充值"],
    "none": ["早餐", "天气", "房间", "孩子", "快递", "好吃", "上班"],
}


def small_set(rows: int = 240, seed: int = 1) -> Labelled:
    rng = Random(seed)
    texts, labels = [], []
    for n in range(rows):
        label = list(WORDS)[n % 3]
        filler = rng.choices("的了在我们今天一起去看看这个地方真不错呀", k=rng.randint(2, 10))
        parts = rng.sample(WORDS[label], 2) + filler
        rng.shuffle(parts)
        texts.append("".join(parts))
        labels.append(label)
    return Labelled(pa.array(texts), labels, None)


@pytest.fixture(scope="session")
def small() -> Labelled:
    return small_set()


@pytest.fixture(scope="session")
def small_model(small: Labelled) -> LinearModel:
    return train(small.texts, small.labels, TrainOptions(bits=14, false_alarm_rate=0.01)).model
