"""Damage that knows the format: HDF5 links, attributes, shapes; zip members; MATLAB elements.

Each function changes the file at a path in one way, drawn from the generator that it is given.
"""

import io
import pickletools
import struct
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np

ODD = [0, 1, 2, 3, 7, 8, 127, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1]


def pick(rng, values):
    return values[int(rng.integers(len(values)))]


# ---------------------------------------------------------------------- HDF5

ATTRIBUTES = ["format", "version", "rate_hz", "coordinate_unit", "provenance", "names", "rate",
              "MATLAB_class", "MATLAB_sparse", "MATLAB_empty", "unit", "conversion", "offset",
              "namespace", "neurodata_type", "colnames", "nwb_version"]  # fmt: skip


def odd_value(file, rng):
    """A value of a kind that no reader expects."""
    refs = [item.ref for item in file.values()] or [file.ref]
    shape = pick(rng, [(), (0,), (1,), (3,), (30, 5), (5, 30), (2, 3, 4), (0, 5)])
    size = int(np.prod(shape))
    text = h5py.string_dtype()
    return pick(rng, [
        lambda: np.full(shape, np.nan), lambda: np.full(shape, np.inf), lambda: -np.ones(shape),
        lambda: np.full(shape, 1e308), lambda: np.full(shape, 5e-324), lambda: np.ones(shape, bool),
        lambda: np.ones(shape, complex), lambda: rng.integers(-(2**62), 2**62, size=shape),
        lambda: np.full(shape, 255, np.uint8), lambda: np.ones(shape, np.float16),
        lambda: np.ones(shape, ">f8"), lambda: np.ones(shape, np.longdouble),
        lambda: np.full(shape, b""), lambda: np.full(shape, b"\xff\xfe"),
        lambda: np.full(shape, b"x" * 3000), lambda: np.full(shape, "\u00e9\u4e2d",
        object).astype(text),
        lambda: np.array([b"\xff"] * size, object).reshape(shape).astype(text),
        lambda: np.array([pick(rng, refs)] * size, dtype=h5py.ref_dtype).reshape(shape),
        lambda: np.ones(shape, [("a", "f4"), ("b", "S3")]), lambda: np.void(b"\0" * 7),
        lambda: h5py.Empty("f8"), lambda: "NoneType", lambda: "", lambda: 0, lambda: -1,
        lambda: 2**63 - 1, lambda: float("nan"), lambda: b"2.5", lambda: np.arange(1000.0),
    ])()  # fmt: skip


def keys_of(file):
    keys = []
    file.visit(keys.append)
    return keys


def put(file, key, value):
    """Write a value in the place of a key; what HDF5 cannot hold becomes a text."""
    if key in file or file.get(key, getlink=True) is not None:
        del file[key]
    try:
        file[key] = value
    except (TypeError, ValueError):
        file[key] = str(value)[:50]


def damage_hdf5(path, rng):
    kind = int(rng.integers(14))
    if kind == 13:
        return damage_heap(path, rng)
    with h5py.File(path, "r+") as file:
        keys = keys_of(file)
        key, other = pick(rng, keys), pick(rng, keys)
        item = file[key]
        values = item[()] if isinstance(item, h5py.Dataset) else None
        attributes = dict(item.attrs) if rng.random() < 0.7 else {}
        if kind == 0:
            del file[key]
        elif kind == 1:
            put(file, key, odd_value(file, rng))
        elif kind == 2:
            item = pick(rng, [item, file])
            name = pick(rng, [*item.attrs, *ATTRIBUTES])
            try:
                item.attrs[name] = odd_value(file, rng)
            except (TypeError, ValueError, OSError):
                item.attrs[name] = 7
            return None
        elif kind == 3:
            name = pick(rng, [*item.attrs, *file.attrs, None])
            for owner in (item, file):
                if name is not None and name in owner.attrs:
                    del owner.attrs[name]
            return None
        elif kind == 4:
            del file[key]
            file[key] = h5py.SoftLink(pick(rng, [f"/{key}", f"/{other}", "/", ".", "..", "/none",
                                                 f"/{key}/{other}"]))  # fmt: skip
        elif kind == 5:
            del file[key]
            name = pick(rng, [path.name, "gone.h5", "/dev/null", "."])
            file[key] = h5py.ExternalLink(name, pick(rng, [f"/{other}", "/"]))
        elif kind == 6:
            source = file[other]
            del file[key]
            if key not in file and other in file:
                file[key] = source  # a hard link, perhaps of a group to itself
        elif kind == 7 and values is not None:
            del file[key]
            shape = tuple(
                int(pick(rng, [1, 30, 10**6, 10**9, 2**31])) for _ in np.shape(values) or (1,)
            )
            try:
                file.create_dataset(key, shape, pick(rng, ["u1", "f8", "i8"]), chunks=True)
            except (ValueError, OSError):
                file[key] = 1
        elif kind == 8 and values is not None and np.ndim(values):
            del file[key]
            shape = np.shape(values)
            dataset = file.create_dataset(
                key,
                data=values,
                maxshape=(None,) * len(shape),
                chunks=tuple(max(1, n // 2) for n in shape),
            )
            dataset.resize([int(n * pick(rng, [0, 1, 2, 50])) for n in shape])
        elif kind == 9:
            del file[key]
            file.create_group(key)["x"] = 1
        elif kind == 10 and values is not None and np.asarray(values).dtype.kind in "biuf":
            array = np.asarray(values)
            array = pick(rng, [
                lambda: array.T, lambda: array[..., None], lambda: array.ravel(),
                                               lambda: array[::-1],
                lambda: array[:-1] if array.ndim else array, lambda: np.repeat(array, 3, axis=-1)
                if array.ndim else array, lambda: array.astype("f4"), lambda: array.astype(">i2"),
                lambda: array * 1e300, lambda: -array.astype(float) - 1, lambda: array + 0.5,
            ])()  # fmt: skip
            put(file, key, array)
        elif kind == 11:
            put(file, f"{key}_{int(rng.integers(9))}", odd_value(file, rng))
        elif kind == 12 and values is not None:
            del file[key]
            (path.parent / "raw").write_bytes(bytes(2000))
            shape = np.shape(values) or (1,)
            file.create_dataset(
                key, shape, "u1", external=[(str(path.parent / "raw"), 0, h5py.h5f.UNLIMITED)]
            )
        for name, value in attributes.items():
            if (
                isinstance(file.get(key, getlink=True), h5py.HardLink)
                and name not in file[key].attrs
            ):
                try:
                    file[key].attrs[name] = value
                except (TypeError, ValueError, OSError):
                    continue
    return None


def damage_heap(path, rng):
    """Change the sizes of the objects in the global heaps, where texts of any length lie."""
    data = bytearray(path.read_bytes())
    places, start = [], data.find(b"GCOL")
    while start >= 0:
        places.append(start)
        start = data.find(b"GCOL", start + 1)
    if places:
        place = pick(rng, places) + 8 * int(rng.integers(1, 12))
        if place + 8 <= len(data):
            value = int(pick(rng, [*ODD, 2**63, 2**64 - 16, 2**64 - 1, len(data)]))
            struct.pack_into("<Q", data, place, value)
        path.write_bytes(data)


# ---------------------------------------------------------------------- NumPy


def damage_npy_header(header, rng):
    """Change the Python literal at the head of an array, at the same length or not."""
    text = header.decode("latin1")
    kind = int(rng.integers(5))
    if kind == 0:
        dims = pick(rng, ["()", "(0,)", "(-1, 5)", "(30,)", "(1000000000000, 5)", "(5, 30)",
                          "(30, 5, 1)",
                          "(True, 5)", "(30, 5.0)", "[30, 5]", "(" * 50, "30"])  # fmt: skip
        begin, end = text.find("("), text.find(")")
        return (text[:begin] + dims + text[end + 1 :]).encode("latin1")
    if kind == 1:
        dtype = pick(rng, ["|O", "|S0", "<U0", "|V8", "<f2", ">f8", "<c16", "|b1", "<M8[s]",
                           "x", "<i8",
                           "<U2000000000", "(3,)<f8", "<f16"])  # fmt: skip
        begin = text.find("'", text.find("descr") + 7)
        return (text[:begin] + repr(dtype) + text[text.find("'", begin + 1) + 1 :]).encode("latin1")
    if kind == 2:
        return text.replace("False", "True").encode("latin1")
    if kind == 3:
        place = int(rng.integers(len(text)))
        return (text[:place] + chr(int(rng.integers(32, 255))) + text[place + 1 :]).encode("latin1")
    return text[: int(rng.integers(len(text)))].encode("latin1")


def damage_npy(data, rng):
    length = struct.unpack_from("<H", data, 8)[0]
    header = damage_npy_header(data[10 : 10 + length], rng)
    header = header if rng.random() < 0.3 else header[:length].ljust(length)
    if rng.random() < 0.1:
        length = int(pick(rng, ODD[:11]))
    else:
        length = len(header)
    version = pick(rng, [b"\x01\x00", b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"])
    size = struct.pack("<H", length & 0xFFFF) if version[0] == 1 else struct.pack("<I", length)
    body = data[10 + struct.unpack_from("<H", data, 8)[0] :]
    body = body if rng.random() < 0.8 else body[: int(rng.integers(len(body) + 1))]
    return data[:6] + version + size + header + body


def damage_npz(path, rng):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    kind = int(rng.integers(7))
    names = list(members)
    name = pick(rng, names)
    out = io.BytesIO()
    how = pick(rng, [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    with zipfile.ZipFile(out, "w", how) as archive:
        for key, data in members.items():
            if key == name and kind == 0:
                continue
            if key == name and kind == 1:
                data = damage_npy(data, rng)
            if key == name and kind == 2:
                data = pick(
                    rng,
                    [b"", data[:20], b"PK\x03\x04", bytes(5000), b"\x80\x04N.", members[names[0]]],
                )
            if key == name and kind == 3:
                key = pick(rng, ["x.npy", "../spikes.npy", "/spikes.npy", "spikes",
                                 "spikes.npy.npy",
                                 "\x1b[2J.npy", "a" * 300 + ".npy", names[0]])  # fmt: skip
            try:
                archive.writestr(key, data)
            except ValueError:
                continue
    data = bytearray(out.getvalue())
    if kind in (4, 5, 6):  # a field of a local header, of the directory, or of its end
        mark = {4: b"PK\x03\x04", 5: b"PK\x01\x02", 6: b"PK\x05\x06"}[kind]
        places = [i for i in range(len(data) - 4) if data[i : i + 4] == mark]
        place = pick(rng, places) + 4 + 2 * int(rng.integers(14))
        size = pick(rng, [2, 4])
        if place + size <= len(data):
            value = int(pick(rng, ODD)) & (2 ** (8 * size) - 1)
            data[place : place + size] = value.to_bytes(size, "little")
    path.write_bytes(data)


# ---------------------------------------------------------------------- MATLAB, version 5


def elements(data, start, end):
    """Places and sizes of the elements between two places, with those inside arrays."""
    found = []
    while start + 8 <= end:
        kind, size = struct.unpack_from("<II", data, start)
        if kind >> 16:
            found.append((start, 4, True))
            start += 8
            continue
        if start + 8 + size > end:
            break
        found.append((start, size, False))
        if kind == 14:
            found += elements(data, start + 8, start + 8 + size)
        start += 8 + size + (-size) % 8
    return found


def damage_matlab5(path, rng):
    """Change tags, dimensions, flags, names and indices, inside what is compressed, too."""
    data = path.read_bytes()
    parts, place = [], 128
    while place + 8 <= len(data):
        kind, size = struct.unpack_from("<II", data, place)
        body = data[place + 8 : place + 8 + size]
        parts.append(
            [kind, zlib.decompress(body) if kind == 15 else data[place : place + 8 + size]]
        )
        place += 8 + size + ((-size) % 8 if kind == 14 else 0)
    part = pick(rng, parts)
    inner = bytearray(part[1])
    for _ in range(int(rng.integers(1, 4))):
        start, size, is_small = pick(rng, elements(inner, 0, len(inner)))
        kind = int(rng.integers(6))
        if kind == 0:
            struct.pack_into("<H" if is_small else "<I", inner, start, int(pick(rng, range(20))))
        elif kind == 1 and not is_small:
            change = (
                int(pick(rng, [*ODD, size - 1, size + 1, size - 8, size + 8, size * 2])) % 2**32
            )
            struct.pack_into("<I", inner, start + 4, change)
        elif kind == 2 and size >= 4:
            at = start + (4 if is_small else 8) + 4 * int(rng.integers(size // 4))
            if at + 4 <= len(inner):
                value = int(pick(rng, [*ODD, *range(20)])) % 2**32
                struct.pack_into("<I", inner, at, value)
        elif kind == 3:
            del inner[start : start + int(pick(rng, [4, 8, 16, size + 8]))]
        elif kind == 4:
            inner[start:start] = inner[start : start + int(pick(rng, [8, size + 8]))]
        elif size:
            at = start + 8 + int(rng.integers(size))
            if at < len(inner):
                inner[at] = int(rng.integers(256))
        if not elements(inner, 0, len(inner)):
            break
    if rng.random() < 0.5 and len(inner) > 8:  # the outermost element is as long as it says
        struct.pack_into("<I", inner, 4, len(inner) - 8)
    part[1] = bytes(inner)
    out = bytearray(data[:128])
    for kind, body in parts:
        if kind == 15:
            body = zlib.compress(body)
            out += struct.pack("<II", 15, len(body)) + body
        else:
            out += body
    path.write_bytes(out)


# ---------------------------------------------------------------------- pickles and texts


def damage_pickle(data, rng):
    """Change, drop, double or swap opcodes of a pickle after the head of a .npy file."""
    start = 10 + struct.unpack_from("<H", data, 8)[0]
    head, stream = data[:start], data[start:]
    places = [place for _, _, place in pickletools.genops(stream)] + [len(stream)]
    codes = [stream[a:b] for a, b in zip(places[:-1], places[1:], strict=True)]
    for _ in range(int(rng.integers(1, 5))):
        i, j = (int(rng.integers(len(codes))) for _ in range(2))
        kind = int(rng.integers(6))
        if kind == 0:
            del codes[i]
        elif kind == 1:
            codes.insert(i, codes[j])
        elif kind == 2:
            codes[i], codes[j] = codes[j], codes[i]
        elif kind == 3:
            codes[i] = (
                bytes([pick(rng, list(pickletools.code2op)).encode("latin1")[0]]) + codes[i][1:]
            )
        elif kind == 4:
            codes[i] = codes[i][:1] + rng.bytes(max(0, len(codes[i]) - 1))
        else:
            codes.insert(i, pick(rng, [b"cos\nsystem\n", b"(", b")", b"}", b"]", b"N", b"\x94",
                                       b"2", b"0",
                                       b"R", b"b", b"\x81", b"X\xff\xff\xff\x7f",
                                       b"I9\n", b"h\x00"]))  # fmt: skip
        if not codes:
            break
    return head + b"".join(codes)


CELLS = ["", " ", "nan", "inf", "-inf", "1e999", "0x1", "1_0", "\u0661", '"', '""', "a",
         "True", "-1", "2",
         "1,1", "=1+1", "\x00", "\x1b[2J", "1;1", "#", "x" * 2000, "0.5", "9" * 400]  # fmt: skip


def damage_text(path, rng):
    """Change cells and rows of a table."""
    text = path.read_text(encoding="utf-8")
    delimiter = "\t" if "\t" in text else ","
    rows = [line.split(delimiter) for line in text.split("\n")]
    for _ in range(int(rng.integers(1, 4))):
        i = int(rng.integers(len(rows)))
        kind = int(rng.integers(7))
        if kind == 0 and rows[i]:
            rows[i][int(rng.integers(len(rows[i])))] = pick(rng, CELLS)
        elif kind == 1:
            del rows[i]
        elif kind == 2:
            rows.insert(i, pick(rng, rows))
        elif kind == 3:
            rows.insert(i, pick(rng, [[], [""], ["", ""], [" "], ["x"]]))
        elif kind == 4 and rows[i]:
            del rows[i][int(rng.integers(len(rows[i])))]
        elif kind == 5:
            rows[i] = [pick(rng, CELLS) for _ in rows[i]]
        else:
            rows = [[str(j), *row] for j, row in enumerate(rows)]
        if not rows:
            break
    text = "\n".join(delimiter.join(row) for row in rows)
    path.write_text(text, encoding=pick(rng, ["utf-8", "utf-8", "utf-8-sig", "utf-16"]))


def damage_folder(path, rng):
    """Damage one file of a folder, each as its format asks for."""
    file = pick(rng, sorted(x for x in Path(path).iterdir() if x.is_file()))
    data = file.read_bytes()
    if file.suffix != ".npy":
        damage_text(file, rng)
    elif b"|O" in data[:100] and rng.random() < 0.8:
        file.write_bytes(damage_pickle(data, rng))
    else:
        file.write_bytes(damage_npy(data, rng))
