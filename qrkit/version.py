"""The version of qrkit: the package, its metadata and the DICOM implementation version name all take it from here."""

__version__ = "0.1.0"
