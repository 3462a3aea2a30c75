"""Bring the JavaScript of other projects to the site, so that a reader needs no network.

MathJax, RequireJS and the widget manager come from npm into build/vendor, once, by version and
checksum. plotly.js comes from the installed plotly. Without npm the site is built all the same, and
its pages ask the network for what is missing.
"""

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
VENDOR = REPOSITORY / "build" / "vendor"


@dataclass(frozen=True)
class Package:
    """Name an npm package, its checksum, and what to keep: {path in the package: path here}."""

    spec: str
    sha512: str
    keep: dict[str, str]


PACKAGES = (
    Package(
        "mathjax@3.2.2",
        "Bt+SSVU8eBG27zChVewOicYs7Xsdt40qm4+UpHyX7k0/O9NliPc+x77k1/FEsPsjKPZGJvtRZM1vO+geW0OhGw==",
        {
            "LICENSE": "mathjax/LICENSE",
            "es5/tex-mml-chtml.js": "mathjax/tex-mml-chtml.js",
            "es5/input/tex/extensions": "mathjax/input/tex/extensions",
            "es5/output/chtml/fonts/woff-v2": "mathjax/output/chtml/fonts/woff-v2",
            "es5/a11y": "mathjax/a11y",
            "es5/sre": "mathjax/sre",
        },
    ),
    Package(
        "requirejs@2.3.8",
        "7/cTSLOdYkNBNJcDMWf+luFvMriVm7eYxp4BcFCsAX0wF421Vyce5SXP17c+Jd5otXKGNehIonFlyQXSowL6Mw==",
        {"require.js": "require.js"},
    ),
    Package(
        "@jupyter-widgets/html-manager@1.0.15",
        "5thBIV6ymNgmPVOHvzx+gGy8ZSKmSazhtGw4/c4xJDVzRhG9PTeQsRjF3FUTopvFi//SABeNz1yp47bCrJ3CQA==",
        {"dist": "html-manager"},
    ),
    # Not part of the site: the accessibility checks of the browser tests.
    Package(
        "axe-core@4.11.0",
        "ilYanEU8vxxBexpJd8cWM4ElSQq4QctCLKih0TSfjIfCQTeyH/6zVrmIJfLPrKTKJRbiG+cfnZbQIjAlJmF1jQ==",
        {"axe.min.js": "axe.min.js"},
    ),
)
NOT_SERVED = ("axe.min.js", "*.map", "*.svg", "*.eot", "libembed*", "index.*", ".complete")


def fetch() -> bool:
    """Bring the packages into build/vendor, once; if that fails, print why and return False."""
    complete = VENDOR / ".complete"
    wanted = "\n".join(f"{p.spec} {sorted(p.keep.items())}" for p in PACKAGES)
    if complete.is_file() and complete.read_text(encoding="utf-8") == wanted:
        return True
    npm = shutil.which("npm")
    if npm is None:
        print("npm is not installed: pages will use the network for math and widgets.", flush=True)
        return False
    shutil.rmtree(VENDOR, ignore_errors=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for package in PACKAGES:
                _unpack(package, _download(npm, package, Path(folder)))
    except (subprocess.SubprocessError, OSError, tarfile.TarError) as error:
        print(f"npm could not bring the site's JavaScript ({error}): ", end="")
        print("pages will use the network for math and widgets.", flush=True)
        return False
    complete.write_text(wanted, encoding="utf-8")
    return True


def _download(npm: str, package: Package, folder: Path) -> Path:
    command = [npm, "pack", package.spec, "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True, timeout=300
    )
    archive = folder / done.stdout.split()[-1]
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != package.sha512:
        raise OSError(f"{package.spec} has another checksum than the one recorded here")
    return archive


def _unpack(package: Package, archive: Path) -> None:
    unpacked = archive.with_suffix("")
    with tarfile.open(archive) as tar:
        tar.extractall(unpacked, filter="data")
    for source, target in package.keep.items():
        origin, goal = unpacked / "package" / source, VENDOR / target
        goal.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, goal)
        else:
            shutil.copy2(origin, goal)


def copy_to(folder: Path) -> bool:
    """Put the site's JavaScript into `folder`; return False if only plotly.js is there."""
    fetched = fetch()
    if fetched:
        shutil.copytree(VENDOR, folder, ignore=shutil.ignore_patterns(*NOT_SERVED))
    folder.mkdir(parents=True, exist_ok=True)
    from plotly.offline import get_plotlyjs

    (folder / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")
    return fetched
