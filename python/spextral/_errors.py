"""Errors: one sentence each, with the file, the value and what to do."""

import errno


class Error(Exception):
    """Any error of spextral."""


class InputError(Error, ValueError):
    """A value, a shape or an option that cannot be."""


class FileError(Error, OSError):
    """A file that cannot be read or written, or does not hold what it should."""


class MissingFileError(FileError, FileNotFoundError):
    """A file that is not there."""


class DeviceError(Error, RuntimeError):
    """A device that is not there, is refused, or failed."""


class LinAlgError(Error, ValueError):
    """A matrix that is not positive definite, not finite, or whose rotations do not converge."""


class ExtractionWarning(UserWarning):
    """Something odd about a frame, which was extracted nevertheless."""


def with_errno(error: FileError, code: int) -> FileError:
    """Returns an error with the number of the operating system's, of the class that this one has."""
    if code == errno.ENOENT and type(error) is FileError:
        error = MissingFileError(*error.args)
    error.errno = code
    return error
