/* webp.c - WebP through libwebp, lossy or lossless; of an animation the first frame. */
#include <webp/decode.h>
#include <webp/demux.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "enc/image.h"

static int orientation(const WebPDemuxer *demux)
{
    WebPChunkIterator chunk;
    int turned = 1;
    if (!demux || !WebPDemuxGetChunk(demux, "EXIF", 1, &chunk)) return 1;
    struct bytes exif = { chunk.chunk.bytes, chunk.chunk.size };
    if (exif.len > 6 && exif.data[0] == 'E') exif.data += 6, exif.len -= 6; /* some writers keep JPEG's "Exif\0\0" */
    turned = exif_orientation(exif);
    WebPDemuxReleaseChunkIterator(&chunk);
    return turned;
}

static int decode_frame(
    struct image *out, struct arena *a, struct bytes frame, const struct image_options *o, struct err *e)
{
    WebPBitstreamFeatures f;
    if (WebPGetFeatures(frame.data, frame.len, &f) != VP8_STATUS_OK)
        return fail(e, ERR_DATA, "not a readable WebP: its header is damaged or cut off");
    int channels = f.has_alpha ? 4 : 3;
    if (o->header_only) return *out = (struct image){ f.width, f.height, channels, 8, .orientation = 1 }, 0;
    TRY(image_new(out, a, f.width, f.height, channels, 8, o->max_pixels, e));
    size_t size = image_row_bytes(out) * (size_t)out->height;
    int stride = (int)image_row_bytes(out);
    const uint8_t *done = channels == 4 ? WebPDecodeRGBAInto(frame.data, frame.len, out->pixels, size, stride)
                                        : WebPDecodeRGBInto(frame.data, frame.len, out->pixels, size, stride);
    if (done || o->allow_truncated) return 0;
    return fail(e, ERR_DATA, "not a readable WebP: damaged or truncated (%zu bytes)", frame.len);
}

int webp_decode(struct image *out, struct arena *a, struct bytes in, const struct image_options *o, struct err *e)
{
    WebPData data = { in.data, in.len };
    WebPDemuxState state;
    WebPIterator frame;
    WebPDemuxer *demux = WebPDemuxPartial(&data, &state);
    struct bytes first = in;
    bool animated = demux && (WebPDemuxGetI(demux, WEBP_FF_FORMAT_FLAGS) & ANIMATION_FLAG);
    bool got = animated && WebPDemuxGetFrame(demux, 1, &frame);
    int turned = orientation(demux);
    if (got) first = (struct bytes){ frame.fragment.bytes, frame.fragment.size };
    int code = decode_frame(out, a, first, o, e);
    if (!code) out->orientation = turned;
    if (got) WebPDemuxReleaseIterator(&frame);
    WebPDemuxDelete(demux);
    return code;
}
