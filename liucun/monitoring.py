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
    rules: dict[int, set[str]] = defaultdict(set)
    models: dict[int, set[str]] = defaultdict(set)
    items = {name: category.item for name, category in categories().items()}
    for rule in read_layers(layers_of(root, settings.detect), today()).running.rules:
        if rule.state is State.LIVE:
            rules[items.get(rule.category, 9)].add(_named(rule.category))
    model = default_model(installed(root / MODELS)).model
    for label in model.labels:
        if label != model.none_label:
            models[items.get(label.partition("/")[0], 9)].add(_named(label))
    return Monitoring(
        detectors={
            item: tuple(
                f"{what}: {'、'.join(sorted(names))}"
                for what, names in (("规则 rules", rules.get(item)), ("模型 model", models.get(item)))
                if names
            )
            for item in sorted(rules.keys() | models.keys())
            if item
        },
        engines=dict(settings.detect.engines),
        sources=declared_sources(settings),
        ran=ran_sources(catalogue, settings),
    )


def _named(label: str) -> str:
    """A category, or a subtype as the model knows it (``abuse/hostility``), in Chinese with its name in rules."""
    known = categories().get(label.partition("/")[0])
    return f"{known.name} {label}" if known else label
