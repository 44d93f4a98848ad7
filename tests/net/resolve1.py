#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A made-up systemd-resolved: takes what org.freedesktop.resolve1 is told about links, checks its form as the
real one does, and prints every call as a line of JSON. Its bus is that of DBUS_SYSTEM_BUS_ADDRESS."""
import json
import socket

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

IFACE = "org.freedesktop.resolve1.Manager"


def say(*what):
    print(json.dumps(what), flush=True)


class Wrong(dbus.DBusException):
    _dbus_error_name = "org.freedesktop.DBus.Error.InvalidArgs"


class NoSuchLink(dbus.DBusException):
    _dbus_error_name = "org.freedesktop.resolve1.NoSuchLink"


def check_link(ifindex):
    if ifindex not in (i for i, _ in socket.if_nameindex()):
        say("NoSuchLink", int(ifindex))
        raise NoSuchLink(f"Link {ifindex} not known")


class Manager(dbus.service.Object):
    @dbus.service.method(IFACE, in_signature="ia(iay)")
    def SetLinkDNS(self, ifindex, servers):
        check_link(ifindex)
        text = []
        for family, b in servers:
            b = bytes(b)
            if len(b) != {socket.AF_INET: 4, socket.AF_INET6: 16}.get(int(family)):
                raise Wrong("address of a wrong size")
            text.append(socket.inet_ntop(int(family), b))
        say("SetLinkDNS", int(ifindex), text)

    @dbus.service.method(IFACE, in_signature="ia(sb)")
    def SetLinkDomains(self, ifindex, domains):
        check_link(ifindex)
        say("SetLinkDomains", int(ifindex), [[str(n), bool(r)] for n, r in domains])

    @dbus.service.method(IFACE, in_signature="ib")
    def SetLinkDefaultRoute(self, ifindex, on):
        check_link(ifindex)
        say("SetLinkDefaultRoute", int(ifindex), bool(on))

    @dbus.service.method(IFACE, in_signature="is")
    def SetLinkDNSOverTLS(self, ifindex, mode):
        check_link(ifindex)
        say("SetLinkDNSOverTLS", int(ifindex), str(mode))

    @dbus.service.method(IFACE, in_signature="i")
    def RevertLink(self, ifindex):
        check_link(ifindex)
        say("RevertLink", int(ifindex))

    @dbus.service.method(IFACE, in_signature="")
    def FlushCaches(self):
        say("FlushCaches")


dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.SystemBus()
name = dbus.service.BusName("org.freedesktop.resolve1", bus, do_not_queue=True)
Manager(bus, "/org/freedesktop/resolve1")
say("ready")
GLib.MainLoop().run()
