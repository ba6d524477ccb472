/* The kinds of messages that systemd/mcastd.catalog explains ("journalctl -x"). An id never
 * changes.
 */
#pragma once

#define MESSAGE_DATAGRAM "39633774bfd14e6c9a1478d2c0dd0d20" /* of a handler of type journal */
#define MESSAGE_STARTED "aaab786656304b2e83984e4c72416e92"
#define MESSAGE_RESTORED "61f79516feee48bcb15b48af0f847f33"
#define MESSAGE_RELOADED "c1bdce7bbd2d43c080957dfeecc24c46"
#define MESSAGE_RELOAD_FAILED "71bd8a6effd64eed9fb53315fe1033cc"
#define MESSAGE_JOINED "48ade7c0a2cc4716baa3ab3315c2fa4b"
#define MESSAGE_WAITING "fb658578d5304ea784e4b172c2ef849e"
#define MESSAGE_NOT_JOINED "80208d4064ac4db5807e7b41c1a545d9"
#define MESSAGE_FORGOTTEN "97df48829e91419d891e63ae1239230f"
#define MESSAGE_OUTAGE "9328f6250a0b405d854729690e5189b8"
#define MESSAGE_OUTAGE_ENDED "26f16208616e4c92aa0daf5fb784c037"
