/* mp_board.h: what the firmware asks of a board beside its driver. Startup code gives it, or the host driver. */
#ifndef MCUPRUNE_BOARD_H
#define MCUPRUNE_BOARD_H

#include <stddef.h>
#include <stdint.h>

/* Size of the stack and its high-water mark since reset, in bytes; both 0 where the board cannot tell. */
void mp_stack_info(uint32_t *bytes, uint32_t *used);

/* The image's .note.gnu.build-id: its size, and its place in *note; 0 where there is none. */
size_t mp_build_note(const uint8_t **note);

#endif
