"""What stands in an export's README, for whoever opens it."""

from typing import Final

TEXT: Final = """\
PORTUGUÊS

Este arquivo contém os dados que o Plantão guardava de uma clínica, ou de uma pessoa nessa clínica, no momento em que
foi pedido (LGPD, Lei 13.709/2018, art. 18). Contém dados pessoais, possivelmente de saúde: guarde-o em lugar seguro
e apague-o quando não precisar mais dele. Os arquivos .jsonl são texto: cada linha é um registro em JSON. Horários
estão em UTC. Um arquivo que falta não tinha nenhum registro; um que seria grande demais continua em outro, de mesmo
começo.

  numbers.jsonl       os números da própria clínica, por canal
  commands.jsonl      mensagens que a clínica mandou ou quis mandar: a quem, quando, o que aconteceu (o texto é
                      guardado só até o envio)
  inbound.jsonl       mensagens recebidas que ainda não tinham sido entregues aos serviços da clínica
  people.jsonl        com quem cada canal conversou: primeira e última vez, e se a pessoa pediu para não receber mais
  consents.jsonl      o registro de consentimentos: quem pediu o quê, quando, e como se soube
  contacts.jsonl      nomes que o WhatsApp informou
  events.jsonl        eventos ainda guardados (em geral 7 dias): mensagens recebidas, recibos, resultados de envio
  dead_letters.jsonl  mensagens que não puderam ser enviadas (em geral 30 dias)
  queued.jsonl        mensagens na fila, ainda não processadas
  media/              fotos, áudios e documentos ainda guardados (em geral 7 dias)
  media.jsonl         que arquivo em media/ é qual objeto citado em events.jsonl

ENGLISH

This file holds the data that Plantão kept of a clinic, or of one person in that clinic, when it was asked for. It
holds personal data, possibly about health: keep it safe, and delete it when you need it no more. The .jsonl files are
text: each line is a record in JSON. Times are UTC. A file that is missing had no records; one that would be too large
goes on in another whose name begins the same.

  numbers.jsonl       the clinic's own numbers, by channel
  commands.jsonl      messages that the clinic sent or wanted to send: to whom, when, what became of them (the text is
                      kept only until it is sent)
  inbound.jsonl       messages that came in and were not yet handed to the clinic's services
  people.jsonl        with whom each channel talked: first and last time, and whether they asked not to be written to
  consents.jsonl      the register of consents: who asked for what, when, and how that came to be known
  contacts.jsonl      names as WhatsApp gave them
  events.jsonl        events that are still kept (7 days as a rule): messages, receipts, results of sending
  dead_letters.jsonl  messages that could not be sent (30 days as a rule)
  queued.jsonl        messages in the queue, not yet worked on
  media/              pictures, recordings and documents that are still kept (7 days as a rule)
  media.jsonl         which file in media/ is which object named in events.jsonl
"""
