# Print the first Python that is new enough, or say what was found and what is needed.
for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
  if command -v "$name" >/dev/null 2>&1 &&
    "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
    echo "$name"
    exit 0
  fi
done
echo "crbm_lite needs Python 3.11 or newer; found: $(python3 --version 2>&1 || echo none)." >&2
echo "Install one, or put it first on PATH, and run make again." >&2
exit 1
