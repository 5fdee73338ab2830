"""From the measurements of images to targets, tables and notes."""

from images_pull import BYTES, OURS
from images_start import BWRAP, DIRECTORY, ONE, TEN

MIB, GOAL_PEAK_MIB = 1 << 20, 64
NOT_PEERS = {OURS, BYTES}  # what cold pulls are not compared with: the one isn't ready when it ends


def best_peer(rows):
    """(name, seconds) of the fastest that makes an image ready, or None."""
    peers = [(row["wall_s"], name) for name, row in rows.items() if name not in NOT_PEERS]
    return min(peers)[::-1] if peers else None


def cold_ratio(data):
    rows = data.get("pulls", {}).get("rows", {})
    best = best_peer(rows)
    return rows[OURS]["wall_s"] / best[1] if best and OURS in rows else None


def dig(data, *keys):
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def net_us(rows, name):
    if not rows or name not in rows or "harness" not in rows:
        return None
    return rows[name]["median"] - rows["harness"]["median"]


def scaled(value, divisor):
    return None if value is None else value / divisor


def more_ms(data):
    rows = dig(data, "image-starts", "rows")
    ours, theirs = net_us(rows, TEN), net_us(rows, DIRECTORY)
    return None if ours is None or theirs is None else (ours - theirs) / 1000


def start_ratio(data):
    rows = dig(data, "image-starts", "rows")
    ours, theirs = net_us(rows, ONE), net_us(rows, BWRAP)
    return None if ours is None or not theirs else ours / theirs


def targets(data):
    """(name, value, operator, goal, what the floor reaches)."""
    return [
        ("cold pull / the best peer's", cold_ratio(data), "<=", 0.5, None),
        ("cold pull, peak memory of all processes, MiB", scaled(dig(data, "pulls", "rows", OURS, "peak_kib"), 1024), "<=", GOAL_PEAK_MIB, None),
        ("one layer of gzip, to unpacked: throughput / inflate and SHA-256 on one core", dig(data, "layer", "ratio"), ">=", 0.8, 1.0),
        ("pull, layers there, ms", scaled(dig(data, "pull-warm", "cloister pull, layers there", "median"), 1000), "<=", 20, None),
        ("start, cached image of ten layers: ms more than rootfs:DIR", more_ms(data), "<=", 0.4, None),
        ("start, cached image of one layer / bwrap", start_ratio(data), "<=", 0.85, None),
        ("resolving a cached image, ms", scaled(dig(data, "image-starts", "resolve", "median"), 1000), "<=", 0.1, None),
    ]


# ---- tables ----

def number(value, digits=2):
    return "-" if value is None else f"{value:.{digits}f}"


def pull_table(data):
    rows, image = data["pulls"]["rows"], data["pulls"]["image"]
    best = best_peer(rows)
    lines = []
    for name, row in rows.items():
        lines.append([name, number(row["wall_s"]), number(row["min_s"]), number(row["max_s"]), number(row["wall_s"] / best[1]) if best else "-",
                      number(row["cpu_s"]), number(row["registry_cpu_s"]), number(row["settle_s"]), number(row["peak_kib"] / 1024, 1),
                      row["samples"], row["count"], row["failures"]])
    heading = f"Cold pull, {image['layers']} layers, {image['compressed_bytes'] / 1e6:.0f} MB, s"
    return heading, ["what", "median", "min", "max", "/ best peer", "CPU", "registry's CPU", "sync after", "peak PSS, MiB", "samples", "runs", "failed"], lines


def layer_table(data):
    one = data["layer"]
    names = {"floor": "floor: inflate and SHA-256, one core", "unpacked": "cloister, until unpacked", "ready": "cloister, until ready"}
    cpu = {"floor": one["floor"]["cpu_ns"] / 1e9, "unpacked": None, "ready": one["cpu_s"]}
    lines = [[label, number(one["seconds"][key], 3), number(one["mb_per_s"][key], 0), number(one["seconds"]["floor"] / one["seconds"][key]),
              number(cpu[key], 3), one["count"]] for key, label in names.items()]
    for key, label in (("inflate_ns", "of the floor: inflate"), ("plain_hash_ns", "of the floor: SHA-256 of the plain bytes"),
                       ("blob_hash_ns", "of the floor: SHA-256 of the compressed bytes")):
        lines.append([label, number(one["floor"][key] / 1e9, 3), "-", "-", "-", one["count"]])
    heading = f"One layer of gzip, {one['compressed_bytes'] / 1e6:.0f} MB that become {one['plain_bytes'] / 1e6:.0f}"
    return heading, ["what", "s", "MB/s of plain bytes", "throughput / floor", "CPU s", "runs"], lines


def start_lines(rows):
    return [[name, number(row["median"] / 1000, 3), number(net_us(rows, name) / 1000, 3), number(row["p10"] / 1000, 3),
             number(row["p90"] / 1000, 3), row["count"], row["failures"]] for name, row in rows.items()]


START_HEADER = ["what", "median", "less harness", "p10", "p90", "runs", "failed"]


def start_table(data):
    lines = start_lines(data["image-starts"]["rows"])
    found = data["image-starts"].get("resolve")
    if found:
        cells = [number(found[key] / 1000, 4) for key in ("median", "median", "p10", "p90")]
        lines.append(["resolving the image alone", *cells, found["count"], 0])
    return "Start of an image that is there, ms", START_HEADER, lines


def starts_columns(kinds):
    """The starts that were measured: "1 enter" and so on, in their order."""
    return list(dict.fromkeys(column for kind in kinds.values() for column in kind.get("start_us", {})))


def erofs_lines(kinds, columns):
    def cell(row, key, divisor, digits):
        return number(scaled(row.get(key), divisor), digits)
    for name, row in kinds.items():
        starts = [number(scaled(row.get("start_us", {}).get(column), 1000), 2) for column in columns]
        yield [name, cell(row, "make_s", 1, 2), cell(row, "make_cpu_s", 1, 2), cell(row, "disk_bytes", MIB, 0), *starts,
               *[cell(row, f"{what}_{heat}_ms", 1, 0) for what in ("stat", "read") for heat in ("cold", "warm")],
               cell(row, "cache_one", MIB, 0), cell(row, "cache_two", MIB, 0)]


def erofs_table(data):
    kinds = data["erofs"]["kinds"]
    columns = starts_columns(kinds)
    labels = [f"{'start' if action == 'enter' else 'mounts'}, {count} layer{'s' if count != '1' else ''}, ms"
              for count, action in (column.split() for column in columns)]
    header = ["layers as", "made in, s", "CPU s", "disk, MiB", *labels, "stat, cold, ms", "warm", "read, cold, ms", "warm",
              "page cache, MiB", "of two sandboxes"]
    table = [header, *erofs_lines(kinds, columns)]
    turned = [list(row) for row in zip(*table)]  # few ways, many columns: a way is a column
    return f"Layers as directories or as EROFS ({data['erofs']['layers']} layers)", turned[0], turned[1:]


def tables(data):
    found = []
    if data.get("pulls", {}).get("rows"):
        found.append(pull_table(data))
    if data.get("layer"):
        found.append(layer_table(data))
    if data.get("pull-warm"):
        found.append(("Pull of an image whose layers are there, ms", START_HEADER, start_lines(data["pull-warm"])))
    if dig(data, "image-starts", "rows"):
        found.append(start_table(data))
    if data.get("erofs"):
        found.append(erofs_table(data))
    return found


def notes(data):
    absent = {name: why for part in ("pulls", "image-starts", "erofs") for name, why in (dig(data, part, "absent") or {}).items()}
    found = [f"absent: {name}: {why}" for name, why in absent.items()]
    best = best_peer(data.get("pulls", {}).get("rows", {}))
    if best:
        found.append(f"the best peer of cold pulls: {best[0]}")
    found += [f"some pulls failed: {name}" for name, row in (dig(data, "pulls", "rows") or {}).items() if row["failures"]]
    for rows in (data.get("pull-warm"), dig(data, "image-starts", "rows")):
        found += [f"some runs failed: {name}" for name, row in (rows or {}).items() if row["failures"]]
    return found
