"""The banner on your websites, and what visitors answered."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from apps.consent.models import AnonymousConsent, Banner, Purpose
from apps.core.backoffice import ReadOnlyAdmin, StaffAdmin


@admin.register(Banner)
class BannerAdmin(StaffAdmin):
    """What the banner says and asks; there is one."""

    heading = "Cookie banner"
    list_display = ["title", "asks", "updated_at"]
    sortable_by = ()
    ordering = ["pk"]
    fieldsets = [
        ("What it says", {"fields": ["title", "text", "policy_url"]}),
        (
            "What it asks for",
            {
                "description": "Accept and reject are always one click each and look the same. "
                "Each purpose is explained by its newest wording. To show the banner, put "
                "/js/cuepost-banner.js into your pages behind /js/cuepost.js; any element with "
                "the attribute data-cuepost-choices opens it again.",
                "fields": ["purposes"],
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        banners: QuerySet[Any] = super().get_queryset(request).prefetch_related("purposes")
        return banners

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name == "text":
            kwargs["widget"] = UnfoldAdminTextareaWidget(attrs={"rows": 4})
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def formfield_for_manytomany(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        kwargs["widget"] = UnfoldAdminCheckboxSelectMultipleWidget()
        kwargs["queryset"] = Purpose.objects.exclude(key=Purpose.EMAIL_MARKETING).order_by("order")
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    @admin.display(description="asks for")
    def asks(self, banner: Banner) -> str:
        return ", ".join(sorted(purpose.name for purpose in banner.purposes.all()))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(AnonymousConsent)
class AnonymousConsentAdmin(ReadOnlyAdmin):
    """One answer to the banner; kept as proof, never changed."""

    heading = "Answers to the banner"
    list_display = ["recorded_at", "action", "told", "has_gpc", "page"]
    sortable_by = ()
    list_filter = ["action", "has_gpc"]
    ordering = ["-recorded_at", "-id"]
    empty_text = "Each answer of a visitor to the banner stands here, also of those nobody knows."
    fieldsets = [
        ("What was said", {"fields": ["action", "told", "has_gpc", "wording"]}),
        ("By whom", {"fields": ["browser", "user_agent", "ip_network"]}),
        ("Where and when", {"fields": ["page", "recorded_at"]}),
    ]

    @admin.display(description="allowed and refused")
    def told(self, answer: AnonymousConsent) -> str:
        return ", ".join(
            f"{key}: {'yes' if is_on else 'no'}" for key, is_on in answer.choice.items()
        )
