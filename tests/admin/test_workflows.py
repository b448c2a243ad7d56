"""Workflows: read as a tree, edited as text, switched on and off; and who is inside."""

import pytest
from django.urls import reverse

from apps.core.pages import model_url, object_url
from apps.messaging.models import Template
from apps.workflows import selectors
from apps.workflows.models import Enrollment, EntryRefusal, StepLog, Workflow
from tests.factories.contacts import ContactFactory
from tests.factories.messaging import MessageFactory
from tests.factories.workflows import (
    EnrollmentFactory,
    StepLogFactory,
    WorkflowFactory,
    WorkflowVersionFactory,
    make_definition,
)
from tests.instants import NOON

pytestmark = pytest.mark.django_db

RECIPES = reverse("admin:workflows_workflow_recipes")
FORK = {
    "if": {"attribute": "country", "is": "DE"},
    "then": [{"send": "cart-reminder"}],
    "else": [{"exit": "elsewhere"}],
}


def act_url(row, action):
    return f"{model_url(type(row))}{row.pk}/{action}/"


def why_url(contact):
    return reverse("admin:workflows_workflow_why", args=[contact.pk])


def source_of(workflow):
    return selectors.get_yaml(workflow.versions.latest("number"))


# --- reading ---


def test_the_page_draws_the_tree_in_words(staff):
    data = make_definition(key="tree", name="Tree", steps=[{"wait": "1 hour"}, FORK])
    workflow = WorkflowVersionFactory(
        workflow=WorkflowFactory(key="tree"), definition=data
    ).workflow

    page = staff.get(object_url(workflow)).content.decode()

    for words in ("Starts with Product Added", "Wait 1 hour", "If country is “DE”", "Yes", "No"):
        assert words in page
    assert "Leave: elsewhere" in page
    assert (
        f'<a href="{object_url(Template.objects.get(is_service=False))}">Send “cart-reminder”</a>'
        in page
    )
    assert "key: tree" in page


def test_how_many_are_at_a_step_leads_to_them(staff):
    inside = EnrollmentFactory()
    EnrollmentFactory(version=inside.version, status="completed")
    elsewhere = EnrollmentFactory(version=inside.version, pc=1)
    url = f"{model_url(Enrollment)}?workflow__id__exact={inside.workflow_id}&amp;step=wait-1-hour"

    page = staff.get(object_url(inside.workflow)).content.decode()
    found = staff.get(url.replace("&amp;", "&")).context["cl"].result_list

    assert f'href="{url}">1 here now' in page
    assert list(found) == [inside]
    assert elsewhere.pk != inside.pk


def test_a_step_without_a_workflow_is_no_filter(staff):
    inside = EnrollmentFactory()

    found = staff.get(model_url(Enrollment), {"step": "wait-1-hour"}).context["cl"].result_list

    assert list(found) == [inside]


def test_the_page_says_what_is_live_and_what_is_newer(staff):
    version = WorkflowVersionFactory()
    changed = make_definition(key=version.workflow.key, steps=[{"wait": "2 hours"}])
    WorkflowVersionFactory(workflow=version.workflow, number=2, definition=changed, live=False)

    newest = staff.get(object_url(version.workflow)).content.decode()
    first = staff.get(object_url(version.workflow), {"version": "1"}).content.decode()

    assert "Live with version 1." in newest
    assert "Version 2 is not live yet." in newest
    assert "Wait 2 hours" in newest
    assert "Wait 1 hour" in first


def test_a_workflow_without_a_version_says_so(staff):
    workflow = WorkflowFactory()

    page = staff.get(object_url(workflow)).content.decode()
    answer = staff.post(act_url(workflow, "go_live"), follow=True)

    assert "Nothing is written yet." in page
    assert f"{workflow} has no version yet." in answer.content.decode()


# --- writing ---


def test_saving_makes_a_version_that_is_not_live_yet(staff):
    workflow = WorkflowVersionFactory().workflow
    source = source_of(workflow).replace("1 hour", "2 hours")

    answer = staff.post(f"{object_url(workflow)}?edit", {"definition": source})

    workflow.refresh_from_db()
    assert answer.url == object_url(workflow)
    assert workflow.live_version.number == 1
    assert workflow.versions.latest("number").definition["steps"][0] == {"wait": "2 hours"}


def test_the_form_holds_the_newest_text_in_the_order_of_people(staff):
    workflow = WorkflowVersionFactory().workflow

    page = staff.get(f"{object_url(workflow)}?edit").content.decode()

    places = [page.index(f"{key}:") for key in ("key", "name", "trigger", "steps")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1 hour", "an hour", "steps[0].wait: "),
        ("steps:", "stops:", "stops: unknown"),
        ("name:", "name: {", "line "),
        ("key: ", "key: other-", "key: must stay"),
    ],
)
def test_a_mistake_is_told_at_the_field_with_its_place(staff, old, new, message):
    workflow = WorkflowVersionFactory().workflow
    source = source_of(workflow).replace(old, new, 1)

    answer = staff.post(f"{object_url(workflow)}?edit", {"definition": source})

    assert answer.status_code == 200
    errors = answer.context["adminform"].form.errors["definition"]
    assert errors[0].startswith(message)
    assert workflow.versions.count() == 1


def test_a_new_workflow_begins_with_an_example_that_can_be_saved(staff):
    example = staff.get(model_url(Workflow, "add")).context["adminform"].form["definition"].value()

    answer = staff.post(model_url(Workflow, "add"), {"definition": example})

    workflow = Workflow.objects.get()
    assert answer.url == object_url(workflow)
    assert (workflow.key, workflow.status) == ("my-workflow", "draft")


def test_a_key_that_is_taken_makes_no_second_workflow(staff):
    workflow = WorkflowVersionFactory().workflow

    answer = staff.post(model_url(Workflow, "add"), {"definition": source_of(workflow)})

    assert "there is a workflow" in answer.content.decode()
    assert Workflow.objects.count() == 1


# --- switching ---


def test_going_live_pausing_and_resuming_ask_first_and_say_what_they_did(staff):
    workflow = WorkflowVersionFactory(live=False).workflow
    said = []

    for action, status in (("go_live", "live"), ("pause", "paused"), ("resume", "live")):
        question = staff.get(act_url(workflow, action))
        before = Workflow.objects.get().status
        answer = staff.post(act_url(workflow, action), follow=True)
        said.append(str(next(iter(answer.context["messages"]))))
        assert question.context["question"].button
        assert (before != status, Workflow.objects.get().status) == (True, status)

    assert said == [
        f"{workflow} v1 is live.",
        f"{workflow} is paused.",
        f"{workflow} goes on.",
    ]


@pytest.mark.parametrize(
    ("status", "offered"),
    [("draft", {"go_live"}), ("live", {"pause"}), ("paused", {"resume"})],
)
def test_only_what_makes_sense_is_offered(staff, status, offered):
    workflow = WorkflowVersionFactory().workflow
    Workflow.objects.update(status=status)

    page = staff.get(object_url(workflow)).content.decode()

    shown = {one for one in ("go_live", "pause", "resume") if act_url(workflow, one) in page}
    assert shown == offered


def test_a_newer_version_can_go_live(staff):
    version = WorkflowVersionFactory()
    changed = make_definition(key=version.workflow.key, steps=[{"wait": "2 hours"}])
    WorkflowVersionFactory(workflow=version.workflow, number=2, definition=changed, live=False)

    page = staff.get(object_url(version.workflow)).content.decode()
    staff.post(act_url(version.workflow, "go_live"))

    assert act_url(version.workflow, "go_live") in page
    assert Workflow.objects.get().live_version.number == 2


def test_going_live_without_its_mails_is_refused_with_the_reason(staff):
    workflow = WorkflowVersionFactory(live=False).workflow
    Template.objects.all().delete()

    answer = staff.post(act_url(workflow, "go_live"), follow=True)

    assert "Publish these mails first: cart-reminder." in answer.content.decode()
    assert Workflow.objects.get().status == "draft"


@pytest.mark.parametrize("action", ["pause", "resume"])
def test_what_is_not_running_is_neither_paused_nor_resumed(staff, action):
    workflow = WorkflowVersionFactory(live=False).workflow

    answer = staff.post(act_url(workflow, action), follow=True)

    assert "It is not " in answer.content.decode()
    assert Workflow.objects.get().status == "draft"


def test_whoever_may_only_look_switches_nothing(viewer):
    workflow = WorkflowVersionFactory().workflow

    page = viewer.get(object_url(workflow)).content.decode()
    answers = [
        viewer.post(act_url(workflow, "pause")),
        viewer.post(f"{object_url(workflow)}?edit", {"definition": source_of(workflow)}),
        viewer.get(RECIPES),
        viewer.post(RECIPES, {"recipe": "cart-recovery"}),
    ]

    assert act_url(workflow, "pause") not in page
    assert "?edit" not in page
    assert {answer.status_code for answer in answers} == {403}
    assert Workflow.objects.get().status == "live"


# --- recipes ---


def test_a_recipe_is_installed_with_its_mails_and_not_live(staff):
    before = staff.get(RECIPES).content.decode()

    answer = staff.post(RECIPES, {"recipe": "cart-recovery"}, follow=True)

    workflow = Workflow.objects.get()
    assert "Begins anew with each trigger." in before
    assert (workflow.key, workflow.status) == ("cart-recovery", "draft")
    assert Template.objects.filter(key="cart-reminder-1").exists()
    assert "Look it over, then go live." in answer.content.decode()
    assert "Installed: look at it" in staff.get(RECIPES).content.decode()


def test_a_recipe_that_is_none_is_told(staff):
    answer = staff.post(RECIPES, {"recipe": "../secrets"}, follow=True)

    assert "There is no recipe" in answer.content.decode()
    assert not Workflow.objects.exists()


# --- who is inside ---


def test_the_page_of_a_passage_tells_each_decision_in_words(staff):
    row = EnrollmentFactory(entry_key="cart-7")
    for action, outcome, values in (
        ("enter", "Product Added", {"event": "Product Added"}),
        ("wait", "", {"until": "2026-03-02T13:00:00+00:00"}),
        ("restart", "Cart Viewed", {}),
        ("wake", "time", {}),
        ("wake", "event", {"event": "Coupon Used"}),
        ("wake", "condition", {}),
        ("branch", "yes", {"condition": "country is “DE”"}),
        ("send", "cart-reminder", {}),
        ("exit", "exit_condition", {"event": "Order Completed"}),
        ("complete", "", {}),
        ("future_action", "x", {}),
    ):
        StepLogFactory(enrollment=row, action=action, outcome=outcome, values=values)
    message = MessageFactory(origin_type="workflow", origin_id=row.pk, contact=row.contact)

    page = staff.get(object_url(row))

    assert [line.text for _, line in page.context["lines"]] == [
        "Entered because of Product Added",
        "Waits until 2 Mar 2026, 13:00:00 UTC",
        "The wait began anew because of Cart Viewed",
        "The wait is over",
        "What it waited for came: Coupon Used",
        "What it waited for came true",
        "Asked if country is “DE”: yes",
        "Asked for the mail cart-reminder",
        "Left: the reason to leave came true (Order Completed)",
        "Went through to the end",
        "future_action x",
    ]
    assert object_url(message) in page.content.decode()
    assert "cart-7" in page.content.decode()


def test_staff_takes_somebody_out_after_a_question(staff):
    row = EnrollmentFactory()

    question = staff.get(act_url(row, "leave"))
    staff.post(act_url(row, "leave"))

    row.refresh_from_db()
    assert "It can&#x27;t be undone" in question.content.decode()
    assert (row.status, row.exit_reason, row.exit_values) == ("exited", "manual", {"by": "boss"})
    assert StepLog.objects.get().outcome == "manual"


def test_many_are_taken_out_and_those_who_left_stay_as_they_are(staff):
    inside = EnrollmentFactory()
    done = EnrollmentFactory(version=inside.version, status="completed")
    action = {
        "action": "exit_selected",
        "_selected_action": [inside.pk, done.pk],
        "is_confirmed": "1",
    }

    answer = staff.post(model_url(Enrollment), action, follow=True)

    assert "1 contact left the workflow." in answer.content.decode()
    assert dict(Enrollment.objects.values_list("pk", "status")) == {
        inside.pk: "exited",
        done.pk: "completed",
    }


def test_only_who_is_inside_can_be_taken_out(staff, viewer):
    inside, done = EnrollmentFactory(), EnrollmentFactory(status="completed")

    assert act_url(inside, "leave") in staff.get(object_url(inside)).content.decode()
    assert act_url(done, "leave") not in staff.get(object_url(done)).content.decode()
    assert act_url(inside, "leave") not in viewer.get(object_url(inside)).content.decode()
    assert viewer.post(act_url(inside, "leave")).status_code == 403


def test_people_inside_are_found_by_their_address(staff):
    row = EnrollmentFactory(contact__email="ada@example.com")
    EnrollmentFactory()

    found = staff.get(model_url(Enrollment), {"q": "ADA@example.com"}).context["cl"].result_list

    assert list(found) == [row]


# --- why ---


def test_why_somebody_got_a_mail_is_explained_workflow_by_workflow(staff):
    row = EnrollmentFactory()
    other = EnrollmentFactory(contact=row.contact)
    StepLogFactory(enrollment=row, outcome="Product Added")
    MessageFactory(
        origin_type="workflow",
        origin_id=row.pk,
        contact=row.contact,
        status="skipped",
        reason="exit_condition",
        gate=[{"check": "workflow", "is_allowed": False, "reason": "exit_condition", "values": {}}],
    )

    page = staff.get(why_url(row.contact), {"workflow": row.workflow.key}).content.decode()

    assert f"?workflow={other.workflow.key}" in page
    assert "Entered because of Product Added" in page
    assert "was not sent: the reason to leave the workflow came true first" in page
    assert "The workflow still wants it to go out" in page


def test_why_somebody_got_nothing_is_explained_too(staff):
    workflow = WorkflowVersionFactory().workflow
    contact = ContactFactory()
    EntryRefusal.objects.create(
        workflow=workflow, contact=contact, event_id=1, reason="re_entry", refused_at=NOON
    )

    refused = staff.get(why_url(contact)).content.decode()
    untouched = staff.get(why_url(ContactFactory())).content.decode()

    assert "They have been through it before" in refused
    assert "No workflow has dealt with" in untouched


def test_why_is_for_staff_who_may_see_both(client, staff):
    contact = ContactFactory()

    assert client.get(why_url(contact)).status_code == 302
    assert staff.get(reverse("admin:workflows_workflow_why", args=[0])).status_code == 404
