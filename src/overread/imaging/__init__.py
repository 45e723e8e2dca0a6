"""Files to pixels on a grid and back: DICOM, NIfTI, raster images and NumPy archives.

Every file comes in with its right geometry or is refused by name (`overread.core.errors.Refused`).
Whatever the format says, arrays are (Z, Y, X) and the world is LPS millimetres from here on.
"""
