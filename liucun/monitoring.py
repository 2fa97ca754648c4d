"""What a store monitors, for its audits: live rules and model by item of Article 15, engines, declared sources."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from detectors.keywords.layers import read_layers
from detectors.keywords.rules import State
from detectors.model import default_model
from detectors.model.versions import installed
from liucun.rule_layers import MODELS, layers_of, today
from liucun.settings import Settings
from retention.audits.monitoring import Monitoring
from retention.catalogue.declarations import DeclaredSource, declarations
from retention.catalogue.engine import Catalogue
from tickets.categories import categories


def declared_sources(settings: Settings) -> tuple[DeclaredSource, ...]:
    """The sources of the settings."""
    from pipelines.stages.undeclared import decided_columns

    return tuple(
        DeclaredSource(
            source.name,
            source.record_class.value,
            dict(source.published),
            gapless=source.kafka is not None and source.kafka.gapless,
            columns=decided_columns(source),
        )
        for source in settings.source
    )


def ran_sources(catalogue: Catalogue, settings: Settings) -> tuple[DeclaredSource, ...]:
    """The sources that only command lines named, as their last run declared them."""
    named = {source.name for source in settings.source}
    with catalogue.read() as connection:
        return tuple(source for source in declarations(connection) if source.name not in named)


def monitoring_of(root: Path, settings: Settings, catalogue: Catalogue) -> Monitoring:
    """Look at the store's rules, model, settings and runs as they are now.

    Raises:
        PackError, ModelFileError: a pack or the model in use is damaged.
    """
    found: dict[int, set[str]] = defaultdict(set)
    items = {name: category.item for name, category in categories().items()}
    for rule in read_layers(layers_of(root, settings.detect), today()).running.rules:
        if rule.state is State.LIVE:
            found[items.get(rule.category, 9)].add(f"规则 rules {rule.category}")
    model = default_model(installed(root / MODELS)).model
    for label in model.labels:
        if label != model.none_label:
            found[items.get(label, 9)].add(f"模型 model {label}")
    return Monitoring(
        detectors={item: tuple(sorted(names)) for item, names in found.items() if item},
        engines=dict(settings.detect.engines),
        sources=declared_sources(settings),
        ran=ran_sources(catalogue, settings),
    )
