/* exif.c - the orientation out of an EXIF block, and nothing else.
 *
 * EXIF is a TIFF header (byte order, 42, offset of the first directory) and directories of 12-byte entries: tag, type,
 * count, value (CIPA DC-008). Every offset is checked; anything unclear means "upright".
 */
#include <string.h>

#include "base/file.h"
#include "enc/image.h"

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, TYPE_LONG = 4, TYPE_SSHORT = 8, TYPE_SLONG = 9 };

static uint32_t load(const unsigned char *p, int n, bool big)
{
    uint32_t v = 0;
    for (int i = 0; i < n; i++) v |= (uint32_t)p[i] << 8 * (big ? n - 1 - i : i);
    return v;
}

/* The number of an entry that holds exactly one integer, else 0. */
static uint32_t entry_value(const unsigned char *entry, bool big)
{
    uint32_t type = load(entry + 2, 2, big);
    if (load(entry + 4, 4, big) != 1) return 0;
    if (type == TYPE_SHORT || type == TYPE_SSHORT) return load(entry + 8, 2, big);
    return type == TYPE_LONG || type == TYPE_SLONG ? load(entry + 8, 4, big) : 0;
}

int exif_orientation(struct bytes tiff)
{
    if (tiff.len < 10) return 1;
    bool big = !memcmp(tiff.data, "MM\0*", 4);
    if (!big && memcmp(tiff.data, "II*\0", 4)) return 1;
    uint32_t at = load(tiff.data + 4, 4, big), found = 1;
    if (at > tiff.len - 2) return 1;
    size_t n = load(tiff.data + at, 2, big), fit = (tiff.len - at - 2) / 12;
    for (size_t i = 0; i < n && i < fit; i++) {
        const unsigned char *entry = tiff.data + at + 2 + i * 12;
        if (load(entry, 2, big) == TAG_ORIENTATION) found = entry_value(entry, big);
    }
    return found >= 1 && found <= 8 ? (int)found : 1;
}
