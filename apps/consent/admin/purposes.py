"""What people are asked for, in which words, and by whose law."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextareaWidget

from apps.consent import services
from apps.consent.models import (
    Jurisdiction,
    JurisdictionRule,
    Purpose,
    Topic,
    WordingVersion,
)
from apps.core.backoffice import PageAdmin, StaffAdmin

if TYPE_CHECKING:
    from django.contrib.admin import TabularInline
else:
    from unfold.admin import TabularInline


@admin.register(Purpose)
class PurposeAdmin(StaffAdmin):
    """What people are asked for."""

    list_display = ["name", "key", "lawful_basis", "validity_months", "description"]
    sortable_by = ()
    ordering = ["order", "key"]
    fieldsets = [
        ("What people read", {"fields": ["name", "key", "description", "order"]}),
        ("What it rests on", {"fields": ["lawful_basis", "validity_months"]}),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["key"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The product itself asks for the purposes that it came with."""
        return False


class TopicForm(forms.ModelForm):
    """One kind of mail; events name topics and purposes alike, so their keys differ."""

    class Meta:
        model = Topic
        fields = ["name", "key", "description", "purpose", "is_active", "order"]

    def clean_key(self) -> str:
        key = str(self.cleaned_data["key"])
        if Purpose.objects.filter(key=key).exists():
            raise forms.ValidationError("A purpose is called so already.")
        return key


@admin.register(Topic)
class TopicAdmin(StaffAdmin):
    """The kinds of mail that people choose among."""

    form = TopicForm
    list_display = ["name", "key", "purpose", "is_active", "order"]
    list_select_related = ["purpose"]
    sortable_by = ()
    ordering = ["order", "key"]
    empty_text = (
        "A topic is one kind of mail, such as news or offers. People choose their topics on their "
        "preference page, and a template that has a topic goes only to those who kept it."
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["key", "purpose"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What people said about it stays; switched off, nobody is asked about it."""
        return False


@admin.register(WordingVersion)
class WordingVersionAdmin(PageAdmin):
    """A text that people are shown; once kept it only ever goes out of use."""

    heading = "Wordings"
    list_display = ["purpose", "version", "language", "is_active", "created_at"]
    list_display_links = ["version"]
    list_select_related = ["purpose"]
    list_filter = ["purpose", "is_active"]
    sortable_by = ()
    ordering = ["-created_at", "-pk"]
    empty_text = (
        "Keep here, word for word, what people read beside a choice. Each consent then points at "
        "the text that was shown."
    )
    add_fieldsets = [(None, {"fields": ["purpose", "version", "language", "text"]})]
    fieldsets = [
        (None, {"fields": ["purpose", "version", "language", "text", "is_active"]}),
        ("Proof", {"fields": ["text_hash", "created_at"]}),
    ]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "text":
            kwargs["widget"] = UnfoldAdminTextareaWidget(attrs={"rows": 6})
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """There is no page to read first: the form shows all of it."""
        return StaffAdmin.change_view(self, request, *args, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Kept for ever: whoever wants other words keeps a new version."""
        kept = ["purpose", "version", "language", "text", "text_hash", "created_at"]
        return kept if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(
        self, request: HttpRequest, obj: WordingVersion, form: Any, change: bool
    ) -> None:
        if change:
            obj.save(update_fields=["is_active"])
            return
        kept = services.keep_wording(
            purpose=obj.purpose_id,
            version=obj.version,
            language=obj.language,
            text=obj.text,
            now=timezone.now(),
        )
        obj.__dict__.update(kept.__dict__)


class RuleInline(TabularInline):
    """What the law there asks for, purpose by purpose."""

    model = JurisdictionRule
    verbose_name_plural = "rules; a purpose without one needs a yes"
    extra = 0
    ordering = ["purpose__order"]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """In a table the head of a column is no label."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            field.widget.attrs["aria-label"] = db_field.verbose_name.capitalize()
        return field


class JurisdictionForm(forms.ModelForm):
    """Countries and states as everybody writes them."""

    class Meta:
        model = Jurisdiction
        fields = ["name", "key", "law", "countries", "regions", "is_fallback"]

    def clean_countries(self) -> list[str]:
        return self._clean_places("countries")

    def clean_regions(self) -> list[str]:
        return self._clean_places("regions")

    def _clean_places(self, field: str) -> list[str]:
        """In capitals, and in no other jurisdiction: a place has one law."""
        places = sorted({place.strip().upper() for place in self.cleaned_data[field]} - {""})
        others = Jurisdiction.objects.exclude(pk=self.instance.pk)
        if taken := others.filter(**{f"{field}__overlap": places}).first():
            both = ", ".join(sorted(set(places) & set(getattr(taken, field))))
            raise forms.ValidationError(f"{taken} holds for {both} already.")
        return places

    def clean_is_fallback(self) -> bool:
        is_fallback = bool(self.cleaned_data["is_fallback"])
        if self.instance.is_fallback and not is_fallback:
            raise forms.ValidationError("Somebody's rules have to hold for everybody else.")
        return is_fallback


@admin.register(Jurisdiction)
class JurisdictionAdmin(StaffAdmin):
    """Whose law holds where; your lawyer has the last word."""

    form = JurisdictionForm
    list_display = ["name", "law", "places", "opt_outs"]
    sortable_by = ()
    ordering = ["is_fallback", "name"]
    inlines = [RuleInline]
    fieldsets = [
        ("Which law", {"fields": ["name", "key", "law"]}),
        (
            "Where",
            {
                "description": "A person's country and state are looked up here; the state is "
                "read from the attributes state or region, or from address.state.",
                "fields": ["countries", "regions", "is_fallback"],
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("rules__purpose")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.name in ("countries", "regions"):
            field.widget.attrs["rows"] = 3
        return field

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["key"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What holds for everybody else stays; so does any, while many are deleted at once."""
        is_deletable = obj is not None and not obj.is_fallback
        return is_deletable and super().has_delete_permission(request, obj)

    @admin.display(description="where")
    def places(self, jurisdiction: Jurisdiction) -> str:
        names = [*jurisdiction.countries, *jurisdiction.regions]
        shown = ", ".join(names[:8])
        return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown or "elsewhere"

    @admin.display(description="goes until a no")
    def opt_outs(self, jurisdiction: Jurisdiction) -> str:
        opt_out = JurisdictionRule.Mode.OPT_OUT
        names = [rule.purpose.name for rule in jurisdiction.rules.all() if rule.mode == opt_out]
        return ", ".join(sorted(names)) or "nothing: a yes is always needed"
