"""What keeps the programs running: systemd where it runs, else supervisord. Both behind one port."""
