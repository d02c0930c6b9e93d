"""Every exception that DAXA raises on purpose.

A message names the argument, file, HDU or column at fault and says what was expected. Where DAXA 0.3 raises
a class of Python in the same case, ours is of that class too, so that what catches that one catches ours.
"""

from __future__ import annotations


class DAXAError(Exception):
    """Base of all exceptions raised by this package."""

    __str__ = Exception.__str__  # that of KeyError gives a representation

    @property
    def message(self) -> str | None:
        """What it says; None if it says nothing."""
        return str(self) or None


class WrongTypeError(DAXAError, TypeError, ValueError):
    """An argument is of a type that is not understood."""


class DAXAConfigError(DAXAError):
    """A configuration value is unusable."""


class DAXADownloadError(DAXAError):
    """One or more files could not be fetched."""


class DAXANotDownloadedError(DAXAError):
    """Something needs raw data that have not been downloaded."""


class DuplicateMissionError(DAXAError):
    """The same mission was given twice."""


class ArchiveExistsError(DAXAError):
    """An archive of that name exists already."""


class MissionLockedError(DAXAError):
    """A mission that belongs to an archive can no longer be changed."""


class BackendSoftwareError(DAXAError):
    """The software that a back-end needs is not there."""


class SASNotFoundError(BackendSoftwareError):
    """ESA's SAS is not installed or not initialised."""


class SASVersionError(BackendSoftwareError):
    """The installed SAS is too old for the task."""


class eSASSNotFoundError(BackendSoftwareError):
    """eSASS is not installed."""


class CIAONotFoundError(BackendSoftwareError):
    """CIAO is not installed."""


class NuSTARDASNotFoundError(BackendSoftwareError):
    """NuSTARDAS is not installed."""


class NoValidMissionsError(DAXAError):
    """No mission of the archive can be processed by this step."""


class NoProcessingError(DAXAError):
    """Nothing has been processed yet."""


class NoDependencyProcessError(NoProcessingError):
    """A step that this one builds on has not been run, or succeeded for nothing."""


class NoObsAfterFilterError(DAXAError):
    """A filter left no observation."""


class IllegalSourceType(DAXAError):
    """Unknown target type."""


class NoTargetSourceTypeInfo(DAXAError):
    """The mission's catalogue has no target types."""


class ObsNotAssociatedError(DAXAError, ValueError):
    """The observation does not belong to this archive."""


class MissionNotAssociatedError(DAXAError, KeyError, ValueError):
    """The mission does not belong to this archive."""


class NoRegionsAssociatedError(DAXAError, ValueError):
    """The archive holds no regions for that observation."""


class IncompatibleSaveError(DAXAError):
    """A saved state cannot be used with this object."""


class PreProcessedNotSupportedError(DAXAError):
    """The mission offers no processed products."""


class PreProcessedNotAvailableError(DAXANotDownloadedError, FileNotFoundError):
    """The processed product was not downloaded or does not exist."""


class NoProductError(DAXAError, FileNotFoundError):
    """An archive does not have a product; the message says what makes it."""


class OptionalPackageError(DAXAError, ImportError):
    """A package that DAXA can do without is not installed."""


class DAXADeveloperError(DAXAError):
    """A mistake in the package itself."""
