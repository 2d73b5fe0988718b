"""One account's cabinet: session, discovery, the list, devices. Knows no Prometheus.

The way in is ``client``; programs use :class:`vats_exporter.Cabinet` of ``library``. What a listing
passes through, in this order::

    client               one call after the other, signed in and with the names that it takes
      sign_in            the form, and when a password may be sent again
      discovery          the names of the deployment in force, from its script
    transport            HTTP over one connection, and the one hook that sees all of it
      connecting         TLS, proxies, and why a cabinet was not reached
      cookies            which are kept and go back
    reading              a page: by the script's classes, and by the blocks of its rows
      by_block           the rows by their blocks alone
      back_references    a flag that is an earlier object
      texts              phones and names beside the blocks
    listing              all pages or none; whether the list is believed; trunks

``contract`` has what is known of the services and forms, ``selector`` how a selector is moved.
"""
