"""DICOM in (headers, series, geometry, pixels, segmentations) and DICOM out."""
