"""What is raised for names that nobody knows; kept apart because astropy's class is slow to load."""

from astropy.coordinates.name_resolve import NameResolveError

from daxa.exceptions import DAXAError


class UnknownNameError(DAXAError, ValueError, NameResolveError):
    """No object of that name is known."""
