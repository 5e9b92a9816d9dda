"""Errors: one sentence each, with the file, the value and what to do."""


class Error(Exception):
    """Any error of spextral."""


class InputError(Error, ValueError):
    """A value, a shape or an option that cannot be."""


class FileError(Error, OSError):
    """A file that cannot be read or written, or does not hold what it should."""


class DeviceError(Error, RuntimeError):
    """A device that is not there, is refused, or failed."""


class LinAlgError(Error, ValueError):
    """A matrix that is not positive definite, not finite, or whose rotations do not converge."""


class ExtractionWarning(UserWarning):
    """Something odd about a frame, which was extracted nevertheless."""
