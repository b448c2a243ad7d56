"""Segments as staff would save them."""

import factory
from factory.django import DjangoModelFactory

from apps.segments.models import Segment


class SegmentFactory(DjangoModelFactory):
    """Everybody in Germany, if nothing else is said."""

    class Meta:
        model = Segment

    key = factory.Sequence(lambda number: f"segment-{number}")
    name = factory.LazyAttribute(lambda segment: segment.key.capitalize())
    condition = factory.LazyFunction(lambda: {"attribute": "country", "is": "DE"})
