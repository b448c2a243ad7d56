"""Workflows: the tree, the definition, going live, recipes, and why somebody got a mail."""

from collections.abc import Collection
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextareaWidget

from apps.contacts.models import Contact
from apps.core.backoffice import PageAdmin, Question, has_perm, page_action
from apps.core.pages import object_url
from apps.messaging import wording as messaging
from apps.messaging.models import Template
from apps.workflows import panel, selectors, services, wording
from apps.workflows.definition import DefinitionError, Send
from apps.workflows.models import Workflow, WorkflowVersion
from apps.workflows.reading import load, parse

STARTER = """key: my-workflow
name: My workflow
description: What it is for.
trigger: {event: Product Added}
entry_key: cart
exit_when: {did: Order Completed, within: since_enrollment}
steps:
  - wait: 1 hour
    restart_on_trigger: true
  - send: cart-reminder-1
"""


class WorkflowForm(forms.ModelForm):
    """The definition as text; a mistake is told with its place."""

    definition = forms.CharField(
        strip=False,
        widget=UnfoldAdminTextareaWidget(
            attrs={"rows": 30, "class": "cp-code", "spellcheck": "false"}
        ),
        help_text=(
            "Saving makes a new version. People who are inside finish the version they began; new "
            "ones get the new version once it is live."
        ),
    )

    class Meta:
        model = Workflow
        fields: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        newest = _newest(self.instance) if self.instance.pk else None
        if "definition" in self.fields:
            text = selectors.get_yaml(newest) if newest else STARTER
            self.fields["definition"].initial = text

    def clean_definition(self) -> str:
        source: str = self.cleaned_data["definition"].replace("\r\n", "\n")
        try:
            tree = parse(load(source))
        except DefinitionError as problem:
            raise forms.ValidationError(str(problem)) from problem
        if self.instance.pk and tree.key != self.instance.key:
            raise forms.ValidationError(f"key: must stay “{self.instance.key}”.")
        if not self.instance.pk and Workflow.objects.filter(key=tree.key).exists():
            raise forms.ValidationError(f"key: there is a workflow “{tree.key}” already.")
        return source


@admin.register(Workflow)
class WorkflowAdmin(PageAdmin):
    """One automatic conversation."""

    form = WorkflowForm
    list_display = ["name", "status", "live_version_number", "description_in_short", "updated_at"]
    list_select_related = ["live_version"]
    list_filter = ["status"]
    sortable_by = ["name"]
    search_fields = ["name", "key"]
    search_help_text = "Name or key"
    ordering = ["name"]
    fields = ["definition"]
    change_form_template = "admin/workflows/workflow_page.html"
    change_list_template = "admin/workflows/workflow_list.html"
    actions_detail = ["go_live", "pause", "resume"]
    empty_text = (
        "A workflow writes to one person at a time, because of what that person did. Start with a "
        "recipe: it brings its mails along."
    )
    empty_link = ("Install a recipe", "admin:workflows_workflow_recipes")

    @admin.display(description="live")
    def live_version_number(self, workflow: Workflow) -> str:
        return f"version {workflow.live_version.number}" if workflow.live_version else "–"

    @admin.display(description="what it does")
    def description_in_short(self, workflow: Workflow) -> str:
        text = workflow.description
        return text if len(text) <= 90 else f"{text[:89]}…"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The mails that it sent are explained by it."""
        return False

    # --- the page -------------------------------------------------------------------------------

    def read_page(self, request: HttpRequest, row: Workflow) -> dict[str, Any]:
        newest = _newest(row)
        shown = _shown_version(request, row) or newest
        return {
            "workflow": row,
            "newest": newest,
            "shown": shown,
            "tree": selectors.get_tree(shown) if shown else None,
            "mails": _mails(shown) if shown else {},
            "yaml": selectors.get_yaml(shown) if shown else "",
            "versions": row.versions.order_by("-number").defer("program", "definition")[:20],
        }

    def save_model(self, request: HttpRequest, obj: Workflow, form: Any, change: bool) -> None:
        version = services.save_definition(
            source=form.cleaned_data["definition"],
            now=timezone.now(),
            workflow=obj if change else None,
        )
        obj.__dict__.update(version.workflow.__dict__)

    # --- what staff may do ----------------------------------------------------------------------

    def offered_actions(self, row: Workflow) -> Collection[str]:
        """Going live with what is newer, and what makes sense in its state."""
        newest = _newest(row)
        is_newer = newest is not None and newest.pk != row.live_version_id
        of_state = {Workflow.Status.LIVE: "pause", Workflow.Status.PAUSED: "resume"}
        offered = {"go_live"} if is_newer else set()
        return offered | {of_state.get(Workflow.Status(row.status), "go_live")}

    @page_action(description="Go live", permission="change", icon="play_arrow", variant="primary")
    def go_live(self, request: HttpRequest, object_id: str) -> HttpResponse:
        workflow = self.get_object_or_404(request, object_id)

        def act() -> str:
            live = services.go_live(workflow=workflow, now=timezone.now())
            return f"{live.live_version} is live."

        newest = _newest(workflow)
        question = Question(
            f"Go live with version {newest.number if newest else 1}?",
            "From now on people enter when they do what starts it, and its mails are sent to those "
            "who allow it.",
            "Go live",
        )
        problems = (services.NoVersion, services.MissingTemplate)
        return self.carry_out(request, workflow, question=question, act=act, problems=problems)

    @page_action(description="Pause", permission="change", icon="pause")
    def pause(self, request: HttpRequest, object_id: str) -> HttpResponse:
        workflow = self.get_object_or_404(request, object_id)

        def act() -> str:
            services.pause(workflow=workflow)
            return f"{workflow} is paused."

        question = Question(
            f"Pause {workflow}?",
            "Nobody enters, nobody moves on and nothing is sent until you resume. Reasons to leave "
            "are still heard.",
            "Pause",
        )
        problems = (services.NotLive,)
        return self.carry_out(request, workflow, question=question, act=act, problems=problems)

    @page_action(description="Resume", permission="change", icon="resume", variant="primary")
    def resume(self, request: HttpRequest, object_id: str) -> HttpResponse:
        workflow = self.get_object_or_404(request, object_id)

        def act() -> str:
            services.resume(workflow=workflow)
            return f"{workflow} goes on."

        question = Question(
            f"Resume {workflow}?",
            "Everybody inside goes on. Waits that ended meanwhile are over, so mails may go out at "
            "once.",
            "Resume",
        )
        problems = (services.NotPaused,)
        return self.carry_out(request, workflow, question=question, act=act, problems=problems)

    # --- recipes, and why -----------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        site = self.admin_site
        own = [
            path("recipes/", site.admin_view(self.recipes_view), name="workflows_workflow_recipes"),
            path(
                "why/<int:contact_id>/",
                site.admin_view(self.why_view),
                name="workflows_workflow_why",
            ),
        ]
        return [*own, *super().get_urls()]

    def recipes_view(self, request: HttpRequest) -> HttpResponse:
        """What comes with the product; POST installs one, not yet live."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._install(request, request.POST.get("recipe", ""))
        installed = {workflow.key: workflow for workflow in Workflow.objects.all()}
        recipes = [
            (recipe, installed.get(recipe.key), selectors.get_outline(recipe))
            for recipe in services.recipes()
        ]
        context = {"title": "Recipes", "recipes": recipes}
        return self.render(request, "admin/workflows/recipes.html", context)

    def _install(self, request: HttpRequest, key: str) -> HttpResponse:
        try:
            workflow = services.install_recipe(key=key, now=timezone.now())
        except services.UnknownRecipe as problem:
            self.message_user(request, str(problem), messages.ERROR)
            return HttpResponseRedirect(request.path)
        message = f"{workflow} is installed, with its mails. Look it over, then go live."
        self.message_user(request, message, messages.SUCCESS)
        return HttpResponseRedirect(object_url(workflow))

    def why_view(self, request: HttpRequest, contact_id: int) -> HttpResponse:
        """Why mails of workflows went to this contact, or did not."""
        if not self.has_view_permission(request) or not has_perm(request, "contacts.view_contact"):
            raise PermissionDenied
        contact = get_object_or_404(Contact, pk=contact_id)
        touched = panel.touched_by(contact)
        chosen = _chosen(request, touched)
        context = {
            "title": f"Why did {contact} get this?",
            "contact": contact,
            "workflows": touched,
            "chosen": chosen,
            "explanation": _explain(contact, chosen) if chosen else None,
        }
        return self.render(request, "admin/workflows/why.html", context)


def _newest(workflow: Workflow) -> WorkflowVersion | None:
    return workflow.versions.select_related("workflow").order_by("-number").first()


def _mails(version: WorkflowVersion) -> dict[str, str]:
    """Where the texts are that its steps send, by step."""
    steps = [step for step in parse(version.definition).walk() if isinstance(step, Send)]
    templates = Template.objects.filter(key__in={step.template for step in steps})
    urls = {template.key: object_url(template) for template in templates}
    return {step.id: urls[step.template] for step in steps if step.template in urls}


def _shown_version(request: HttpRequest, workflow: Workflow) -> WorkflowVersion | None:
    number = request.GET.get("version", "")
    if not number.isdecimal():
        return None
    return workflow.versions.select_related("workflow").filter(number=int(number)).first()


def _chosen(request: HttpRequest, touched: list[Workflow]) -> Workflow | None:
    wanted = request.GET.get("workflow", "")
    return next((one for one in touched if one.key == wanted), touched[0] if touched else None)


def _explain(contact: Contact, workflow: Workflow) -> dict[str, Any]:
    """The selector's answer with each line in words."""
    explanation = selectors.explain(contact, workflow)
    return {
        "passages": [
            {
                "enrollment": passage.enrollment,
                "state": wording.state_of(passage.enrollment),
                "lines": [(log, wording.line_of(log)) for log in passage.log],
                "messages": [
                    (
                        message,
                        messaging.headline(message),
                        messaging.tone_of(message),
                        _gate(message),
                    )
                    for message in passage.messages
                ],
            }
            for passage in explanation.passages
        ],
        "refusals": [
            (refusal, wording.refusal_in_words(refusal.reason)) for refusal in explanation.refusals
        ],
    }


def _gate(message: Any) -> list[dict[str, Any]]:
    return [
        {**answer, "question": messaging.check_in_words(answer["check"])} for answer in message.gate
    ]
