"""The form of a contact, with what staff has declared as fields of it."""

from collections.abc import Mapping
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from apps.contacts import fields
from apps.contacts.addresses import normalize_email
from apps.contacts.fields import Kind, Misfit
from apps.contacts.models import Contact, ContactField, Identity
from apps.contacts.traits import RESERVED

# Before the keys of declared fields, which may be called like one of ours.
PREFIX = "field_"


class DeclaredField(forms.Field):
    """The form field of a declared one: it takes what events and files may tell of it."""

    def __init__(self, declared: ContactField) -> None:
        self.declared = declared
        widget = _widget(declared)
        hint = declared.help_text or ("" if declared.choices else _HINTS.get(declared.kind, ""))
        super().__init__(required=False, label=declared.label, help_text=hint, widget=widget)

    def prepare_value(self, value: Any) -> Any:
        if isinstance(self.widget, forms.CheckboxSelectMultiple):
            return value or []
        if self.declared.kind == Kind.LIST and isinstance(value, list):
            return "\n".join(map(str, value))
        text = fields.write(self.declared, value)
        # As the browser's own control for it wants them; it is labeled as UTC.
        return text.removesuffix("+00:00") if self.declared.kind == Kind.DATETIME else text

    def to_python(self, value: Any) -> Any:
        try:
            return fields.fit(self.declared, value or None)
        except Misfit as problem:
            raise forms.ValidationError(f"This is {problem}.") from problem


_HINTS: dict[str, str] = {
    Kind.DATETIME: "In UTC.",
    Kind.URL: "With https:// at the beginning.",
    Kind.LIST: "One in a line.",
}
_INPUTS: dict[str, str] = {Kind.DATE: "date", Kind.DATETIME: "datetime-local", Kind.URL: "url"}


def _widget(declared: ContactField) -> Any:
    choices = [(choice, choice) for choice in declared.choices]
    match declared.kind:
        case Kind.BOOLEAN:
            return UnfoldAdminSelectWidget(
                choices=[("", "not known"), ("yes", "yes"), ("no", "no")]
            )
        case Kind.CHOICE:
            return UnfoldAdminSelectWidget(choices=[("", "not known"), *choices])
        case Kind.LIST if choices:
            return UnfoldAdminCheckboxSelectMultipleWidget(choices=choices)
        case Kind.LIST:
            return UnfoldAdminTextareaWidget(attrs={"rows": 3})
        case Kind.NUMBER:
            return UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal"})
        case kind:
            widget = UnfoldAdminTextInputWidget(attrs={"step": "1"} if kind in _INPUTS else None)
            widget.input_type = _INPUTS.get(kind, "text")
            return widget


class ContactForm(forms.ModelForm):
    """What staff may enter; an address or user ID that leads to somebody else is refused."""

    # Filled by form_with().
    declared: Mapping[str, ContactField] = {}

    class Meta:
        model = Contact
        fields = [
            "first_name", "last_name", "email", "external_id", "phone",
            "country", "locale", "time_zone", "attributes", "is_test",
        ]  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = self.instance.attributes
        self.fitting = {key: known[key] for key in self.declared if self._fits(key, known.get(key))}
        for key, value in self.fitting.items():
            self.initial[f"{PREFIX}{key}"] = value
        # What doesn't fit its field stays where it can be seen and put right.
        self.initial["attributes"] = {
            key: value for key, value in known.items() if key not in self.fitting
        }

    def _fits(self, key: str, value: Any) -> bool:
        try:
            return value is not None and fields.fit(self.declared[key], value) == value
        except Misfit:
            return False

    def clean_email(self) -> str | None:
        email = self.cleaned_data["email"]
        if not email:
            return None
        normalized = normalize_email(email)
        if normalized is None:
            raise forms.ValidationError("This is not an e-mail address.")
        return normalized

    def clean_country(self) -> str:
        return str(self.cleaned_data["country"]).upper()

    def clean(self) -> dict[str, Any] | None:
        data = super().clean() or {}
        names = (("email", Identity.Kind.EMAIL), ("external_id", Identity.Kind.USER_ID))
        for field, kind in names:
            named = Identity.objects.filter(kind=kind, value=data.get(field) or "")
            if named.exclude(contact=self.instance.pk).exists():
                self.add_error(field, "Another contact is already known by this.")
        if isinstance(data.get("attributes"), dict):
            told = {key: data.get(f"{PREFIX}{key}") for key in self.declared}
            data["attributes"] |= {key: value for key, value in told.items() if value is not None}
        return data


def form_with(declared: Mapping[str, ContactField]) -> type[ContactForm]:
    """The form of a contact with these fields."""
    own = {f"{PREFIX}{key}": DeclaredField(field) for key, field in declared.items()}
    return type("ContactForm", (ContactForm,), {**own, "declared": declared})


class ContactFieldForm(forms.ModelForm):
    """A declared field, with its choices line by line."""

    choices = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6}),
        help_text=str(ContactField._meta.get_field("choices").help_text),
    )

    class Meta:
        model = ContactField
        fields = ["label", "key", "kind", "choices", "help_text", "order"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["choices"] = "\n".join(self.instance.choices)

    def clean_key(self) -> str:
        key = str(self.cleaned_data["key"])
        if key in RESERVED:
            raise forms.ValidationError("Contacts have a field for this already.")
        return key

    def clean_choices(self) -> list[str]:
        lines = (line.strip() for line in str(self.cleaned_data["choices"]).splitlines())
        found = list(dict.fromkeys(line for line in lines if line))
        if any(len(line) > fields.MAX_ITEM for line in found):
            raise forms.ValidationError(f"A choice has at most {fields.MAX_ITEM} characters.")
        return found

    def clean(self) -> dict[str, Any] | None:
        data = super().clean() or {}
        if data.get("kind") == Kind.CHOICE and not data.get("choices"):
            self.add_error("choices", "Say what there is to choose from.")
        return data
