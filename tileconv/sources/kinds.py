"""What lies at a path that no source reads: its kind by content, and what to do with it."""

from __future__ import annotations

from tileconv.errors import SourceError
from tileconv.sources.choices import listed
from tileconv.sources.folders import MOST_ENTRIES, ZARR_FILES, images_below, is_store
from tileconv.sources.tiff_guard import jpeg_frame
from tileconv.stores import anywhere
from tileconv.stores.anywhere import Place, Remote

EXPECTED = "a TIFF, PNG, JPEG, FITS or .npy file, or a Zarr folder"
FIRST_BYTES, HEAD_BYTES = 2**12, 2**17
"""How much of the beginning of a file tells its kind, and that of a JPEG, which may have 64 KiB of EXIF before."""
JPEG_LS = 0xF7

READERS = {
    b"ZISRAWFILE": "bioio-czi",
    b"\x70\0\0\0": "bioio-lif",
    b"\xda\xce\xbe\x0a": "bioio-nd2",
    b"OLYMPUSRAWFORMAT": "bioio-bioformats",
}
"""The reader of bioio by how a file begins: CZI, LIF, ND2 and OIR."""

_BIOFORMATS = "Convert it to OME-TIFF: bfconvert {name} image.ome.tif."
_GDAL = "Convert it to TIFF: gdal_translate {name} image.tif."
_VIPS = "Convert it to TIFF: vips copy {name} image.tif."
_UNPACK = "Unpack it first."
_NUMPY = "Write its image as .npy, in Python: numpy.save('image.npy', {load})."
_HDF5 = _NUMPY.replace("{load}", "h5py.File({text})['DATASET'][:]")
_PICKLE = "Save its array with numpy.save instead."
_XARRAY = "Write it as Zarr, in Python: xarray.open_dataset({text}).to_zarr('image.zarr')."

_KINDS: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file (as NetCDF 4, Imaris and MATLAB 7.3 files are)", _HDF5),
    (512, b"\x89HDF\r\n\x1a\n", "an HDF5 file (as MATLAB 7.3 files are)", _HDF5),
    (0, b"CDF\x01", "a NetCDF 3 file", _XARRAY),
    (0, b"CDF\x02", "a NetCDF 3 file", _XARRAY),
    (0, b"CDF\x05", "a NetCDF 3 file", _XARRAY),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 file", _GDAL),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 codestream", _GDAL),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL file", _VIPS),
    (0, b"\xff\x0a", "a JPEG XL codestream", _VIPS),
    (0, b"II\xbc\x01", "a JPEG XR file", _VIPS),
    (4, b"ftypavif", "an AVIF file", _VIPS),
    (4, b"ftyphei", "a HEIF file", _VIPS),
    (4, b"ftypmif1", "a HEIF file", _VIPS),
    (8, b"WEBPVP8", "a WebP file", _VIPS),
    (0, b"GIF8", "a GIF file", _VIPS),
    (0, b"BM", "a BMP file", _VIPS),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR file", _VIPS),
    (0, b"#?RADIANCE", "a Radiance HDR file", _VIPS),
    (0, b"P4\n", "a PBM file", _VIPS),
    (0, b"P5\n", "a PGM file", _VIPS),
    (0, b"P6\n", "a PPM file", _VIPS),
    (0, b"Pf\n", "a PFM file", _VIPS),
    (0, b"PF\n", "a PFM file", _VIPS),
    (0, b"8BPS", "a Photoshop file", _VIPS),
    (0, b"%PDF", "a PDF file", "Extract its image: pdfimages -tiff {name} image."),
    (0, b"SDPX", "a DPX file", _VIPS),
    (0, b"XPDS", "a DPX file", _VIPS),
    (128, b"DICM", "a DICOM file", _BIOFORMATS),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an OLE file (as Olympus OIB and Zeiss ZVI files are)", _BIOFORMATS),
    (0, b"ics_version", "an ICS file", _BIOFORMATS),
    (0, b"NRRD000", "an NRRD file", _BIOFORMATS),
    (344, b"n+1\0", "a NIfTI file", _BIOFORMATS),
    (208, b"MAP ", "an MRC file", _BIOFORMATS),
    (0, b"ObjectType =", "a MetaImage header", _BIOFORMATS),
    (0, b"MATLAB 5.0", "a MATLAB file", _NUMPY.replace("{load}", "scipy.io.loadmat({text})['NAME']")),
    (0, b"\x80\x04\x95", "a Python pickle, which could run code", _PICKLE),
    (0, b"\x80\x05\x95", "a Python pickle, which could run code", _PICKLE),
    (0, b"\x1f\x8b", "a gzip file", _UNPACK),
    (0, b"BZh", "a bzip2 file", _UNPACK),
    (0, b"\xfd7zXZ\0", "an xz file", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard file", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (0, b"Rar!", "a RAR archive", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file itself", "Fetch the file: git lfs pull."),
    (0, b"IIU\0", "a camera's raw file", _VIPS),
    (0, b"IIRO", "a camera's raw file", _VIPS),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw file", _VIPS),
)
"""Where in a file, which bytes, what it is, and what to do."""


def reader_of(head: bytes) -> str:
    """Return which reader of bioio reads a file that begins with *head*; empty where it is none of theirs."""
    return next((reader for magic, reader in READERS.items() if head.startswith(magic)), "")


def unusual_jpeg(head: bytes) -> bool:
    """Return whether *head* begins a JPEG of a kind that Pillow does not read: JPEG-LS, or not of 8 bits."""
    frame = jpeg_frame(head) if head.startswith(b"\xff\xd8\xff") else None
    return frame is not None and (frame[0] == JPEG_LS or frame[1] != 8)


def not_read(path: Place, head: bytes) -> SourceError:
    """Return the error for a plain file that begins with *head*, which is of no kind that is read."""
    kind, fix = _kind(path, head)
    return SourceError(f"expected {EXPECTED}, found {kind}", where=str(path), fix=fix)


def _kind(path: Place, head: bytes) -> tuple[str, str]:
    from shlex import quote

    if not head:
        return "an empty file", "It was never written to its end: make it again."
    if head.startswith(b"PK"):
        return _archive(path, head)
    if path.name in (*ZARR_FILES, ".zattrs", ".zmetadata"):
        return "a file of a Zarr store", f"Give its folder, {str(path.parent)!r}."
    if b"<OME" in head[:4096]:
        return "the OME metadata of an image that lies elsewhere", "Give the TIFF file that holds the pixels."
    if unusual_jpeg(head) and (frame := jpeg_frame(head)):
        jpeg = "a JPEG-LS file" if frame[0] == JPEG_LS else f"a JPEG file of {frame[1]} bits per sample"
        return jpeg, _GDAL.format(name=quote(path.name))
    for at, magic, kind, fix in _KINDS:
        if head[at:].startswith(magic):
            return kind, fix.format(name=quote(path.name), text=repr(path.name))
    return f"a file that begins with {head[:8]!r}", "Convert it to TIFF, as bfconvert, gdal_translate or vips do."


def _archive(path: Place, head: bytes) -> tuple[str, str]:
    """Tell what a ZIP archive holds by what it begins with; its table of contents may be of any length."""
    from shlex import quote

    first = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    if first.endswith(b".npy"):
        name = first.removesuffix(b".npy").decode("utf-8", "replace")
        load = f"numpy.load({path.name!r})[{name!r}]"
        return "a ZIP archive of NumPy arrays (.npz)", f"Save one of them: numpy.save('image.npy', {load})."
    if path.suffix == ".ozx" or ".zarr" in path.suffixes or any(name.encode() in head[:4096] for name in ZARR_FILES):
        fix = f"Unpack it, unzip {quote(path.name)} -d image.ome.zarr, and give image.ome.zarr."
        return "a Zarr store in a ZIP archive", fix
    return "a ZIP archive", f"Unpack it: unzip {quote(path.name)}."


def no_store(path: Place) -> SourceError:
    """Return the error for a folder that is no Zarr store; it names the images below."""
    problem = f"expected {EXPECTED}, found a folder without {', '.join(ZARR_FILES)}"
    where = str(path)
    if anywhere.is_file(path / "attributes.json"):
        return SourceError(f"expected {EXPECTED}, found an N5 store", where=where, fix="Convert it to Zarr.")
    images = images_below(path)
    if not images:
        return SourceError(problem, where=where, fix="Give the folder of the image itself.")
    fix = f"Give one of the images below: {listed(images)}."
    if len([name for name in images if not is_store(path / name)]) > 1:
        fix += " A pattern makes each of several files, and input.stack one image of them all."
    return SourceError(problem, where=where, fix=fix)


def nothing(path: Place, given: str) -> SourceError:
    """Return the error for a path where nothing lies; *given* is as the user wrote it."""
    problem = f"expected {EXPECTED}, found nothing"
    if any(letter in path.name for letter in "*?["):
        fix = "Give one file; a pattern is of input.path and of the command line alone."
        return SourceError(f"{problem} of this name, which looks like a pattern", where=str(path), fix=fix)
    folder = path.parent
    fix = f"Check the path {given!r}."
    if anywhere.is_folder(folder):
        from difflib import get_close_matches

        close = get_close_matches(path.name, anywhere.names(folder)[:MOST_ENTRIES])
        fix += f" Its folder holds {listed(sorted(close))}." if close else ""
    elif isinstance(path, Remote):
        pass
    elif anywhere.exists(folder):
        fix = f"{str(folder)!r} is a file, and nothing lies below it."
    else:
        fix += f" There is no folder {str(folder)!r}."
    return SourceError(problem, where=str(path), fix=fix)
