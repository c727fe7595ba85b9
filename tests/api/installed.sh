#!/bin/sh
# installed.sh - what `make install` installs is enough to build the examples through pkg-config, shared and static, and
# to run the program, its manual and its completion.
#
# Usage: installed.sh SOURCE BUILD COMPILER...
. "$(dirname "$0")/../tap.sh"
source=$1 build=$2 demo=$1/examples/demo
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! command -v pkg-config >/dev/null || ! command -v meson >/dev/null; then
    skip 'an installed library' 'needs meson and pkg-config'
    finish
fi

meson install -C "$build" --no-rebuild --destdir "$work" >"$work/talk" 2>&1
pc=$(find "$work" -name tenrec.pc)
ok 'make install leaves a tenrec.pc' "$([ -f "$pc" ] || tail -n 5 "$work/talk")"
library=$(dirname "$(dirname "$pc")")
export PKG_CONFIG_PATH="$(dirname "$pc")" LD_LIBRARY_PATH="$library"
tenrec=$(find "$work" -path '*/bin/tenrec')
"$tenrec" import "$demo/shapes.onnx" --labels "$demo/shapes.txt" --preprocess "$demo/shapes.yaml" \
    -o "$work/shapes.tenrec" >"$work/talk" 2>&1
ok 'the program runs' "$([ -f "$work/shapes.tenrec" ] || cat "$work/talk")"

# Words of pkg-config for the tree in $work; the library itself is named by its file.
flags=$(PKG_CONFIG_SYSROOT_DIR=$work pkg-config --cflags tenrec)
shared=$(PKG_CONFIG_SYSROOT_DIR=$work pkg-config --libs tenrec)
static="$library/libtenrec.a $(pkg-config --static --libs-only-l --libs-only-other tenrec | sed 's/-ltenrec//')"
for kind in shared static; do
    eval "libraries=\$$kind"
    "$@" "$source/examples/c/hello.c" -o "$work/hello" $flags $libraries >"$work/talk" 2>&1
    said=$("$work/hello" "$work/shapes.tenrec" "$demo/shapes/cross_0.png" 2>&1)
    ok "hello.c, $kind" "$(echo "$said" | head -n 1 | grep -q ' cross$' || { cat "$work/talk"; echo "$said"; })"
    rm -f "$work/hello"
done
# Plug-ins that bring the library into a process, again and again, two at once.
cat >"$work/plugin.c" <<'END'
#include <stdio.h>
#include <tenrec/tenrec.h>

int score(const char *model, const char *path)
{
    static char data[1 << 20];
    struct tenrec_error e = { 0 };
    FILE *f = fopen(path, "rb");
    struct tenrec_image image = { .data = data, .size = f ? fread(data, 1, sizeof data, f) : 0 };
    struct tenrec_answer answer;
    if (f) fclose(f);
    struct tenrec_model *m = tenrec_open(model, NULL, &e);
    struct tenrec_session *s = tenrec_session_new(m, NULL, &e);
    if (tenrec_score(s, &image, 1, &answer, 1, &e)) fprintf(stderr, "%s\n", e.text);
    else puts(answer.label[0]);
    tenrec_session_free(s);
    tenrec_close(m);
    return e.code;
}
END
cat >"$work/host.c" <<'END'
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    for (int i = 0; i < 6; i++) {
        void *plugin = dlopen(argv[3 + i % 2], RTLD_NOW | RTLD_LOCAL);
        int (*score)(const char *, const char *) = 0;
        if (plugin) *(void **)&score = dlsym(plugin, "score");
        if (!score) return fprintf(stderr, "%s\n", dlerror()), 1;
        if (score(argv[1], argv[2]) || (i < 4 && dlclose(plugin))) return 1;
    }
    return 0;
}
END
"$@" "$work/host.c" -o "$work/host" -ldl >"$work/talk" 2>&1
for kind in shared static; do
    eval "libraries=\$$kind"
    "$@" -fPIC -shared "$work/plugin.c" -o "$work/a.so" $flags -Wl,--exclude-libs,ALL $libraries >>"$work/talk" 2>&1
    cp "$work/a.so" "$work/b.so"
    said=$("$work/host" "$work/shapes.tenrec" "$demo/shapes/cross_0.png" "$work/a.so" "$work/b.so" 2>&1 |
        sort | uniq -c)
    ok "plug-ins, $kind" "$([ "$(echo $said)" = '6 cross' ] || { cat "$work/talk"; echo "$said"; })"
done
ok 'there is a page of the manual for each command' "$("$tenrec" --help 2>&1 | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p' |
    while read -r name; do [ "$(find "$work" -name "tenrec-$name.1")" ] || echo "no $name"; done)"
for shell in bash zsh fish; do
    case $shell in bash) name=tenrec.bash ;; zsh) name=_tenrec ;; fish) name=tenrec.fish ;; esac
    file=$(find "$work" -name "$name")
    if command -v $shell >/dev/null; then ok "$shell takes its completion" "$($shell -n "$file" 2>&1)"
    else ok "there is a completion for $shell" "$([ -s "$file" ] || echo none)"
    fi
done
finish
