"""Workflows as a tree, and everyone who is in them."""

from apps.workflows.admin.enrollments import EnrollmentAdmin
from apps.workflows.admin.workflows import WorkflowAdmin

__all__ = ["EnrollmentAdmin", "WorkflowAdmin"]
