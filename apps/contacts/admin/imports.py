"""Files of contacts: uploaded, matched, looked through, taken in, and what was refused."""

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase, StreamingHttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe
from unfold.widgets import UnfoldAdminFileFieldWidget

from apps.contacts import files, importing, resources, tables, tasks, uploads
from apps.contacts.files import BadFile
from apps.contacts.models import ImportJob, ImportRow
from apps.contacts.resources import BadMapping
from apps.contacts.uploads import NotNow
from apps.core.backoffice import Question, ReadOnlyAdmin, has_perm, page_action
from apps.core.pages import model_url, object_url
from apps.core.signals import personal_data_accessed

State = ImportJob.Status
PROBLEMS = (NotNow, BadMapping, BadFile)
MAX_REFUSED_SHOWN = 50
SAMPLED_VALUES = 3


class UploadForm(forms.Form):
    """A file with contacts."""

    file = forms.FileField(
        label="CSV or XLSX file",
        widget=UnfoldAdminFileFieldWidget(),
        help_text=f"Up to {files.MAX_BYTES // 2**20} MB. The first row names the columns. Nothing "
        "changes before you have seen what would.",
    )


@admin.register(ImportJob)
class ImportJobAdmin(ReadOnlyAdmin):
    """One file of contacts on its way in."""

    heading = "Imports"
    list_display = ["file_name", "status", "in_words", "uploaded_by", "uploaded_at"]
    sortable_by = ()
    list_filter = ["status"]
    ordering = ["-id"]
    change_form_template = "admin/contacts/import_page.html"
    actions_detail = ["take_in", "cancel"]
    empty_text = (
        "Bring your contacts along from another system, as a CSV or XLSX file. You match its "
        "columns and see what would change before anything does."
    )

    @property
    def is_about_people(self) -> bool:
        return True

    @admin.display(description="rows")
    def in_words(self, job: ImportJob) -> str:
        return "–" if job.row_count is None else f"{job.row_count:,}"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return has_perm(request, "contacts.add_importjob") and not self.is_hidden_from(request)

    def has_act_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may upload goes the rest of the way, too."""
        return self.has_add_permission(request)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path(f"<int:pk>/{name}/", wrap(view), name=f"contacts_importjob_{name}")
            for name, view in [
                ("check", require_POST(self.check_view)),
                ("reshape", require_POST(self.reshape_view)),
                ("refused", require_safe(self.refused_view)),
            ]
        ]
        return [*own, *super().get_urls()]

    # --- upload ---------------------------------------------------------------------------------

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = UploadForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            file = form.cleaned_data["file"]
            try:
                job = uploads.take_in(
                    file_name=file.name,
                    chunks=file.chunks(),
                    by=request.user.get_username(),
                    now=timezone.now(),
                )
                return HttpResponseRedirect(object_url(job))
            except BadFile as problem:
                form.add_error("file", str(problem))
        context = {
            "title": "Import contacts",
            "form": form,
            "text": "People are found by their user ID, then by their e-mail address; who is new "
            "is added. An empty cell changes nothing.",
            "button": "Upload",
            "back": model_url(ImportJob),
        }
        return self.render(request, "admin/consent/ask.html", context)

    # --- the page -------------------------------------------------------------------------------

    def offered_actions(self, row: ImportJob) -> Sequence[str]:
        if row.status == State.CHECKED:
            return ("take_in", "cancel")
        return ("cancel",) if row.status in (State.UPLOADED, *_AT_WORK) else ()

    def read_page(self, request: HttpRequest, row: ImportJob) -> dict[str, Any]:
        may_see = not self.is_hidden_from(request)
        may_act = self.has_act_permission(request)
        is_open = row.status in (State.UPLOADED, State.CHECKED)
        return {
            "job": row,
            "may_act": may_act,
            "is_open": is_open,
            "percent": 100 * row.done_count // row.row_count if row.row_count else 0,
            "outcomes": _outcomes(row),
            "rows": _shown_rows(row) if may_see else [],
            "max_refused": MAX_REFUSED_SHOWN,
            "header": [*row.columns],
            "matching": _matching(row) if is_open and may_act else None,
            "encodings": files.ENCODINGS,
            "delimiters": files.DELIMITERS,
            "kept_for": uploads.KEPT_FOR,
            "may_see_refused": may_see
            and row.refused_count
            and row.forgotten_at is None
            and not row.is_at_work,
        }

    def check_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The columns were matched: look through all rows."""
        job = self._get(request, pk)
        mapping = [request.POST.get(f"column_{place}", "") for place in range(len(job.columns))]
        keys = {column.key for column in _constant_columns()}
        texts = {key: request.POST.get(f"constant_{key}", "").strip() for key in keys}
        constants = {key: text[:200] for key, text in texts.items() if text}

        def act() -> None:
            uploads.check(job=job, mapping=mapping, constants=constants)
            self._nudge()

        return self._try(request, job, act)

    def reshape_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The file was written in another way than it seemed."""
        job = self._get(request, pk)
        encoding = request.POST.get("encoding", "")
        delimiter = request.POST.get("delimiter", "")
        return self._try(
            request, job, lambda: uploads.reshape(job=job, encoding=encoding, delimiter=delimiter)
        )

    @page_action(description="Take the file in", permission="act", icon="check", variant="primary")
    def take_in(self, request: HttpRequest, object_id: str) -> HttpResponse:
        job = self.get_object_or_404(request, object_id)

        def act() -> str:
            uploads.run(job=job)
            self._tell(request, "change", "import of contacts", job.row_count or 0)
            self._nudge()
            return "The file is being taken in."

        question = Question(
            f"Take {job.file_name} in?",
            f"Contacts that are added: {job.created_count:,}. Changed: {job.updated_count:,}. "
            f"Rows that are left out: {job.refused_count:,}. It can't be undone.",
            "Take the file in",
        )
        return self.carry_out(request, job, question=question, act=act, problems=PROBLEMS)

    @page_action(description="Cancel the import", permission="act", icon="close")
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        job = self.get_object_or_404(request, object_id)

        def act() -> str:
            uploads.cancel(job=job, now=timezone.now())
            return "Canceled. What was taken in already stays."

        question = Question(
            f"Cancel the import of {job.file_name}?",
            "The file is deleted. Contacts that were taken in already stay as they are now.",
            "Cancel the import",
            is_danger=True,
        )
        return self.carry_out(request, job, question=question, act=act, problems=PROBLEMS)

    def refused_view(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """The refused rows as a file, to be put right and uploaded again."""
        job = self.view_object(request, str(pk))
        if self.is_hidden_from(request):
            raise PermissionDenied
        if job.forgotten_at is not None:
            raise Http404
        self._tell(request, "export", "refused rows of an import", job.refused_count)
        lines = tables.write_csv(importing.refused_cells(job))
        response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="refused-{job.pk}.csv"'
        return response

    # --- inside ---------------------------------------------------------------------------------

    def _get(self, request: HttpRequest, pk: int) -> ImportJob:
        if not self.has_act_permission(request):
            raise PermissionDenied
        job: ImportJob = self.view_object(request, str(pk))
        return job

    def _try(self, request: HttpRequest, job: ImportJob, act: Callable[[], Any]) -> HttpResponse:
        try:
            act()
        except PROBLEMS as problem:
            self.message_user(request, str(problem), messages.ERROR)
        except FileNotFoundError:
            self.message_user(request, importing.FILE_IS_GONE, messages.ERROR)
        return HttpResponseRedirect(object_url(job))

    def _nudge(self) -> None:
        """Work begins now instead of at beat's next turn."""
        transaction.on_commit(tasks.work_on_imports.delay, robust=True)

    def _tell(self, request: HttpRequest, kind: str, what: str, count: int) -> None:
        personal_data_accessed.send(
            sender=ImportJob,
            user=request.user,
            kind=kind,
            what=what,
            contact_ids=[],
            count=count,
            path=request.path_info,
            now=timezone.now(),
        )


_AT_WORK = (State.CHECKING, State.RUNNING)


def _outcomes(job: ImportJob) -> list[tuple[str, int]]:
    is_done = job.status in (State.RUNNING, State.DONE, State.CANCELED, State.FAILED)
    words = ("added", "changed") if is_done else ("would be added", "would be changed")
    return [
        (words[0], job.created_count),
        (words[1], job.updated_count),
        ("as they are", job.unchanged_count),
        ("refused", job.refused_count),
    ]


def _shown_rows(job: ImportJob) -> list[ImportRow]:
    """The first rows and the first refused ones; where it is too late to choose, these alone."""
    if job.is_at_work:
        return []
    rows = job.rows.order_by("number")
    if job.status != State.CHECKED:
        rows = rows.filter(outcome=ImportRow.Outcome.REFUSED)
    return list(rows[:MAX_REFUSED_SHOWN])


def _matching(job: ImportJob) -> dict[str, Any]:
    """What the form to match the columns shows, or why it can't."""
    try:
        sample = uploads.read_sample(job)
    except BadFile as problem:
        return {"problem": str(problem)}
    except FileNotFoundError:
        return {"problem": importing.FILE_IS_GONE}
    groups = [
        (label, [(column.key, column.label) for column in columns])
        for label, columns in resources.groups()
    ]
    lines = []
    for place, (name, key) in enumerate(zip(job.columns, job.mapping, strict=True)):
        values = [cells[place] for _, cells in sample if place < len(cells) and cells[place]]
        own = f"{resources.ATTRIBUTE}{name}"
        lines.append(
            {
                "place": place,
                "name": name,
                "key": key,
                "own": own if resources.is_attribute(own) or key == own else "",
                "values": [value[:60] for value in values[:SAMPLED_VALUES]],
            }
        )
    constants = [(one, job.constants.get(one.key, "")) for one in _constant_columns()]
    return {"lines": lines, "groups": groups, "constants": constants}


def _constant_columns() -> list[Any]:
    return [one for _, columns in resources.groups() for one in columns if one.may_be_constant]
