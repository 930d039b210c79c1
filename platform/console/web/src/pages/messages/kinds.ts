/** kinds of messages that are told to a HIS or a channel, in the order of a visit. */
export const kinds = [
  'patient.register', 'appointment.lock', 'appointment.unlock', 'appointment.book', 'appointment.pay', 'appointment.cancel',
  'prescription.create', 'prescription.void', 'prescription.dispense-status', 'order.create', 'order.cancel', 'payment.settle', 'refund.create',
  'invoice.issue', 'channel.refund', 'ledger.record',
] as const
