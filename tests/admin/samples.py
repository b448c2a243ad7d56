"""One row of each kind that the admin has a page for."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.db import models
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from apps.accounts import services as accounts
from apps.accounts.models import AccessRecord, User
from apps.commerce.models import Cart, Order, Product
from apps.consent import banners, rights, signups
from apps.consent import services as consent
from apps.consent.facts import Entry, Trace
from apps.consent.models import (
    AnonymousConsent,
    Banner,
    CmpConnection,
    ConsentRecord,
    ForeignSignal,
    Jurisdiction,
    LiftedSuppression,
    PendingSignup,
    PrivacyRequest,
    Purpose,
    Retention,
    SignupForm,
    Suppression,
    Topic,
    WordingVersion,
)
from apps.contacts import merging
from apps.contacts.models import Contact, ContactField, ImportJob, MergeLog, MergeSuggestion
from apps.events.models import Event, EventDefinition, RejectedEvent, Source
from apps.messaging.models import Message, ServiceMail, Template
from apps.segments.models import Segment
from apps.workflows.models import Enrollment, Workflow
from tests.factories.accounts import StaffFactory
from tests.factories.commerce import CartItemFactory, OrderFactory, ProductFactory
from tests.factories.consent import SignupFormFactory, TopicFactory, grant
from tests.factories.contacts import (
    ContactFactory,
    ContactFieldFactory,
    ImportRowFactory,
    MergeSuggestionFactory,
)
from tests.factories.events import (
    EventDefinitionFactory,
    EventFactory,
    RejectedEventFactory,
    SourceFactory,
)
from tests.factories.messaging import MessageContentFactory, TemplateVersionFactory
from tests.factories.segments import SegmentFactory
from tests.factories.workflows import EnrollmentFactory, StepLogFactory, WorkflowVersionFactory
from tests.instants import NOON


def _suppression() -> Suppression:
    email = f"silent-{Suppression.objects.count()}@example.com"
    consent.suppress(emails=[email], reason=Suppression.Reason.BOUNCED, now=NOON)
    return Suppression.objects.latest("id")


def _banner() -> Banner:
    banner = Banner.objects.create(title=f"Banner {Banner.objects.count()}")
    banner.purposes.set(["tracking"])
    return banner


def _anonymous_consent() -> AnonymousConsent:
    told = {"choice": {"tracking": True}, "anonymousId": "0b6b2c1e-5a4e-4f7a-9a3e-2f1d3c4b5a69"}
    return banners.record_answer(told=told, trace=Trace(ip="203.0.113.7"), now=NOON)


def _foreign_signal() -> ForeignSignal:
    signal = f"signal_{ForeignSignal.objects.count()}"
    return ForeignSignal.objects.create(framework="google", signal=signal, purpose_id="tracking")


def _signup() -> PendingSignup:
    return signups.sign_up(form=SignupFormFactory(), entry=Entry(email="ada@example.com"), now=NOON)


def _privacy_request() -> PrivacyRequest:
    return rights.ask(contact=ContactFactory(), kind="correct", by="ada", now=NOON, details="Ada!")


def _retention() -> Retention:
    """One of an app that isn't there any more."""
    return Retention.objects.create(key=f"data-{Retention.objects.count()}", keep_days=30)


def _purpose() -> Purpose:
    return Purpose.objects.create(key=f"purpose-{Purpose.objects.count()}", name="News")


def _topic() -> Topic:
    topic: Topic = TopicFactory()
    return topic


def _wording() -> WordingVersion:
    version = str(WordingVersion.objects.count())
    return consent.keep_wording(
        purpose="tracking", version=version, language="en", text="We remember.", now=NOON
    )


def _jurisdiction() -> Jurisdiction:
    return Jurisdiction.objects.create(key=f"X{Jurisdiction.objects.count()}", name="Elsewhere")


def _lifted() -> LiftedSuppression:
    suppression = _suppression()
    consent.lift_suppression(
        suppression_id=suppression.pk, explanation="They called.", by="ada", now=NOON
    )
    return LiftedSuppression.objects.latest("id")


def _enrollment() -> Enrollment:
    return StepLogFactory(enrollment=EnrollmentFactory()).enrollment


def _interval() -> IntervalSchedule:
    every = IntervalSchedule.objects.count() + 100
    return IntervalSchedule.objects.create(every=every, period="seconds")


def _task() -> PeriodicTask:
    name = f"Task {PeriodicTask.objects.count()}"
    return PeriodicTask.objects.create(name=name, task="core.tick", interval=_interval())


def _clocked() -> ClockedSchedule:
    at = NOON + timedelta(minutes=ClockedSchedule.objects.count())
    return ClockedSchedule.objects.create(clocked_time=at)


def _crontab() -> CrontabSchedule:
    return CrontabSchedule.objects.create(minute=str(CrontabSchedule.objects.count()))


def _service_mail() -> ServiceMail:
    return ServiceMail.objects.create(
        send_key=f"sample:{ServiceMail.objects.count()}",
        template=Template.objects.get(key="confirm-signup"),
        email="ada@example.com",
        due_at=NOON,
        queued_at=NOON,
    )


def _solar() -> SolarSchedule:
    latitude = SolarSchedule.objects.count()
    return SolarSchedule.objects.create(event="sunrise", latitude=latitude, longitude=10)


def _access_record() -> AccessRecord:
    return accounts.record_access(
        user=StaffFactory(), kind="view", what="contact", contact_ids=[1], now=NOON
    )


def _merge() -> MergeLog:
    survivor, merged = ContactFactory(), ContactFactory()
    return merging.merge(survivor_id=survivor.pk, merged_id=merged.pk, by="boss", now=NOON)


def _suggestion() -> MergeSuggestion:
    return MergeSuggestionFactory()


SAMPLES: dict[type[models.Model], Callable[[], Any]] = {
    AccessRecord: _access_record,
    AnonymousConsent: _anonymous_consent,
    Banner: _banner,
    Cart: lambda: CartItemFactory().cart,
    ClockedSchedule: _clocked,
    CmpConnection: lambda: CmpConnection.objects.create(name="Platform"),
    ConsentRecord: lambda: grant(ContactFactory(), Purpose.EMAIL_MARKETING, NOON),
    Contact: ContactFactory,
    ContactField: ContactFieldFactory,
    CrontabSchedule: _crontab,
    Enrollment: _enrollment,
    Event: lambda: EventFactory(contact=ContactFactory()),
    EventDefinition: EventDefinitionFactory,
    ForeignSignal: _foreign_signal,
    Group: lambda: Group.objects.create(name=f"Role {Group.objects.count()}"),
    ImportJob: lambda: ImportRowFactory().job,
    IntervalSchedule: _interval,
    MergeLog: _merge,
    MergeSuggestion: _suggestion,
    Message: lambda: MessageContentFactory().message,
    Order: OrderFactory,
    PendingSignup: _signup,
    PeriodicTask: _task,
    PrivacyRequest: _privacy_request,
    Product: ProductFactory,
    Purpose: _purpose,
    RejectedEvent: RejectedEventFactory,
    Retention: _retention,
    Segment: SegmentFactory,
    ServiceMail: _service_mail,
    SignupForm: lambda: SignupFormFactory(topics=["tea", "news"], extra_fields=["first_name"]),
    SolarSchedule: _solar,
    Source: SourceFactory,
    Suppression: _suppression,
    LiftedSuppression: _lifted,
    Topic: _topic,
    WordingVersion: _wording,
    Jurisdiction: _jurisdiction,
    Template: lambda: TemplateVersionFactory().template,
    User: StaffFactory,
    Workflow: lambda: WorkflowVersionFactory().workflow,
}
