/* CMSDK APB UART: bytes come and go by interrupt, through a ring each. Arm DDI 0479, 4.3. */
#include "mp_cortex_m.h"
#include "mp_driver.h"
#include "mp_ticks.h"

#define DATA MP_REGISTER(MP_UART_BASE + 0x00u)
#define STATE MP_REGISTER(MP_UART_BASE + 0x04u)   /* 0 transmit buffer full, 1 receive buffer full */
#define CTRL MP_REGISTER(MP_UART_BASE + 0x08u)    /* 0 transmit, 1 receive, 2, 3 their interrupts */
#define INTCLEAR MP_REGISTER(MP_UART_BASE + 0x0Cu) /* 0 transmit, 1 receive, 2, 3 their overruns */
#define BAUDDIV MP_REGISTER(MP_UART_BASE + 0x10u) /* clocks a bit, 16 at least */

enum { TX_FULL = 1, RX_FULL = 2, TX_ON = 1, RX_ON = 2, TX_IRQ_ON = 4, RX_IRQ_ON = 8, TX_IRQ = 1, RX_IRQ = 2 };
enum { RX_RING = 4096, TX_RING = 256 }; /* powers of two: the counters below run through */

static volatile uint8_t rx[RX_RING], tx[TX_RING];
static volatile uint32_t rx_in, rx_out, tx_in, tx_out; /* bytes put in, bytes taken out */

void mp_uart_rx_handler(void);
void mp_uart_tx_handler(void);

/* Gives the transmitter what it takes. With interrupts masked, or from an interrupt. */
static void send(void)
{
    while (tx_in != tx_out && !(STATE & TX_FULL)) DATA = tx[tx_out++ % TX_RING];
}

/* Either interrupt does the work of both: QEMU before 8.2.2 swaps their numbers on the MPS2+ and MPS3 boards. */
static void serve(void)
{
    INTCLEAR = RX_IRQ | TX_IRQ;
    while (STATE & RX_FULL) {
        const uint8_t byte = (uint8_t)DATA;
        if (rx_in - rx_out < RX_RING) rx[rx_in++ % RX_RING] = byte; /* a full ring drops: the frame's CRC tells */
    }
    send();
}

void mp_uart_rx_handler(void)
{
    serve();
}

void mp_uart_tx_handler(void)
{
    serve();
}

const mp_driver_info *mp_driver_init(void)
{
    static mp_driver_info info = {.rx_ring = RX_RING, .counter_hz = MP_CLOCK_HZ};
    const uint32_t divider = MP_CLOCK_HZ / MP_UART_BAUD;
    info.counter = mp_ticks_init();
    BAUDDIV = divider < 16u ? 16u : divider;
    INTCLEAR = 0xFu;
    CTRL = TX_ON | RX_ON | TX_IRQ_ON | RX_IRQ_ON;
    mp_enable_irq(MP_UART_RX_IRQ);
    mp_enable_irq(MP_UART_TX_IRQ);
    return &info;
}

size_t mp_driver_read(uint8_t *bytes, size_t capacity)
{
    while (rx_in == rx_out) {
        mp_mask_interrupts(); /* a byte that comes after the look still ends the sleep */
        if (rx_in == rx_out) mp_wait_for_interrupt();
        mp_unmask_interrupts();
    }
    size_t count = 0;
    while (count < capacity && rx_in != rx_out) bytes[count++] = rx[rx_out++ % RX_RING];
    return count;
}

void mp_driver_write(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mp_mask_interrupts();
        while (tx_in - tx_out == TX_RING) { /* full: sleep until the transmitter has taken some */
            send();
            if (tx_in - tx_out < TX_RING) break;
            mp_wait_for_interrupt();
            mp_unmask_interrupts();
            mp_mask_interrupts();
        }
        tx[tx_in++ % TX_RING] = bytes[i];
        send();
        mp_unmask_interrupts();
    }
}
