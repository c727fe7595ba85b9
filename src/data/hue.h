/* hue.h - turning the hue of 8-bit colours exactly as torchvision does on Pillow's images. */
#ifndef TENREC_DATA_HUE_H
#define TENREC_DATA_HUE_H

#include <stdint.h>

/* Turns one colour (red, green, blue) by `share` of the circle, -0.5 to 0.5. Equal in every bit to
 * torchvision.transforms.functional.adjust_hue of a Pillow image: hue and saturation are bytes on the way. */
void hue_turn(uint8_t rgb[3], double share);

#endif
