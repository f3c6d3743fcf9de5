/* mp_link.h: the board's side of the link (docs/protocol.md): answers the host's commands. */
#ifndef MCUPRUNE_LINK_H
#define MCUPRUNE_LINK_H

#include "mcuprune_model.h"
#include "mp_driver.h"
#include "mp_frame.h"

#define MP_LINK_PROTOCOL 1

typedef struct {
    const mp_model *model;
    uint8_t *arena;
    void *kept;           /* model->state_bytes: the state as it was before the last call */
    int ready;            /* 0: the model's init refused the arena; WRITE and INFER answer FAILED */
    const char *board_id; /* UTF-8 */
    const mp_driver_info *driver;
} mp_link_config;

/* Forgets session and results. */
void mp_link_reset(void);

/* Takes bytes that came from the host and answers each frame that they complete. */
void mp_link_receive(const mp_link_config *config, const uint8_t *bytes, size_t count);

/* mp_link_reset(), then mp_link_receive() of what the driver reads until the peer has gone for good. */
void mp_link_serve(const mp_link_config *config);

#endif
