"""Judges events of OpenLineage by the classes of the project's own client, which are generated from the published schemas.

Reads one event as JSON from each line, and writes for each a line with everything in which it differs, as a JSON array of texts.
Every value is constructed as the class that the client has for its place, so the client's own validators look at it; on top of that nothing
passes that no class names, no null, and no value of another type than its field has.
"""

import enum
import importlib
import json
import pkgutil
import re
import sys
import types
import typing

import attr
from openlineage.client import generated
from openlineage.client.event_v2 import RunEvent
from openlineage.client.facet_v2 import DatasetFacet, InputDatasetFacet, JobFacet, OutputDatasetFacet, RunFacet

KINDS = (InputDatasetFacet, OutputDatasetFacet, DatasetFacet, RunFacet, JobFacet)

# The schemas require these; the client has defaults for them.
REQUIRED = {"producer", "schemaURL", "_producer", "_schemaURL"}

# What the schemas call uuid, date-time and uri, where the client's validators take more: an id in braces, a time without a zone, a word.
FORMATS = {
    "runId": re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    **dict.fromkeys(
        ["eventTime", "nominalStartTime", "nominalEndTime"],
        re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"),
    ),
    **dict.fromkeys(REQUIRED, re.compile(r"[a-z][a-z0-9+.-]*:\S+")),
}


def facet_name(cls):
    """The name of a facet, which the client has in the name of the class alone."""
    stem = re.sub("(InputDataset|OutputDataset|Dataset|Run|Job)Facet$", "", cls.__name__)
    return "processing_engine" if stem == "ProcessingEngine" else stem[0].lower() + stem[1:]


def facets():
    """Every class of a facet, by its kind and name."""
    modules = [importlib.import_module(f"{generated.__name__}.{info.name}") for info in pkgutil.iter_modules(generated.__path__)]
    return {
        (kind, facet_name(cls)): cls
        for module in modules
        for cls in vars(module).values()
        if isinstance(cls, type)
        for kind in KINDS
        if kind in cls.__mro__[1:]
    }


FACETS = facets()


class Judge:
    """What is wrong with one event."""

    def __init__(self):
        self.problems = []

    def wrong(self, path, what):
        self.problems.append(f"{path}: {what}")

    def value(self, hint, value, path):
        """Constructs what a type hint asks for; None where that cannot be done, which is a problem then."""
        if typing.get_origin(hint) in (typing.Union, types.UnionType):
            # A field that may be left out; JSON's null is another thing, which no schema allows.
            [hint] = [one for one in typing.get_args(hint) if one is not type(None)]
        if typing.get_origin(hint) is list and isinstance(value, list):
            [item] = typing.get_args(hint)
            return [self.value(item, one, f"{path}[{at}]") for at, one in enumerate(value)]
        if typing.get_origin(hint) is dict and isinstance(value, dict):
            _, item = typing.get_args(hint)
            if item in KINDS:
                return {name: self.facet(item, name, one, f"{path}.{name}") for name, one in value.items()}
            return {name: self.value(item, one, f"{path}.{name}") for name, one in value.items()}
        if attr.has(hint) and isinstance(value, dict):
            return self.object(hint, value, path)
        if isinstance(hint, enum.EnumMeta):
            if value in [one.value for one in hint]:
                return hint(value)
        elif hint is float and type(value) is int:
            return float(value)
        elif type(value) is hint:
            return value
        self.wrong(path, f"{json.dumps(value)[:80]} is no {getattr(hint, '__name__', hint)}")
        return None

    def facet(self, kind, name, value, path):
        """Constructs a facet by its name, where facets of one kind belong."""
        cls = FACETS.get((kind, name))
        if cls is None:
            elsewhere = [other.__name__ for other, known in FACETS if known == name]
            self.wrong(path, f"is a {elsewhere[0]}, and no {kind.__name__}" if elsewhere else "is no facet")
            return None
        return self.value(cls, value, path)

    def object(self, cls, value, path):
        """Constructs one class from an object with its fields."""
        attr.resolve_types(cls)
        fields = {field.name: field for field in attr.fields(cls)}
        before = len(self.problems)
        for name in value.keys() - fields.keys():
            self.wrong(f"{path}.{name}", f"{cls.__name__} has no such field")
        for name, field in fields.items():
            if name not in value and (field.default is attr.NOTHING or name in REQUIRED):
                self.wrong(f"{path}.{name}", f"is required by {cls.__name__}")
        made = {name: self.value(fields[name].type, one, f"{path}.{name}") for name, one in value.items() if name in fields}
        if len(self.problems) > before:
            return None
        for name, one in made.items():
            if name in FORMATS and not FORMATS[name].fullmatch(one):
                self.wrong(f"{path}.{name}", f"{one} is not written as it should be")
            if name in ("schemaURL", "_schemaURL") and one != cls._get_schema():
                self.wrong(f"{path}.{name}", f"{one} is not {cls._get_schema()}")
        try:
            return cls(**{fields[name].alias: one for name, one in made.items() if fields[name].init})
        except Exception as error:
            self.wrong(path, f"{cls.__name__} refuses it: {error}")
            return None


for line in sys.stdin:
    judge = Judge()
    judge.value(RunEvent, json.loads(line), "event")
    print(json.dumps(judge.problems))
