"""A lab's own client of Intan's RHX command server: it stimulates our emulator as it would a controller.

Start ``prosthesis stimulator serve --rig utah96`` first; nothing of this project is imported here.
"""

import socket
import sys
import time

with socket.create_connection(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 5000)) as rhx:
    rhx.sendall(b"get type")
    print(rhx.recv(1024).decode())
    for name, value in {
        "stimenabled": "true",
        "source": "keypressf1",
        "firstphaseamplitudemicroamps": "90",
        "secondphaseamplitudemicroamps": "90",
        "firstphasedurationmicroseconds": "200",
        "secondphasedurationmicroseconds": "200",
        "pulseortrain": "pulsetrain",
        "numberofstimpulses": "100",
        "pulsetrainperiodmicroseconds": "3333",
    }.items():
        rhx.sendall(f"set a-010.{name} {value};".encode())
    rhx.sendall(b"execute uploadstimparameters a-010;set runmode run;execute manualstimtriggerpulse f1;")
    time.sleep(0.5)
    rhx.sendall(b"set runmode stop;get runmode;")
    print(rhx.recv(1024).decode())
