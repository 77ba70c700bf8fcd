#!/bin/sh
# Runs a static program for x86-64 on an emulated processor with AVX-512, with a Linux kernel and nothing else around it:
#
#   bochs.sh PROGRAM ARGUMENTS
#
# Prints what the program prints and exits as it does. The folders `vectors` and `tests/vectors` of the working directory
# come along. Booting takes a minute or two of each run, and a program some fifty times as long as it would. The emulated clock
# counts instructions, about 3.5 million a millisecond: that is what times mean that the program prints.
#
# Debian: apt-get install bochs bochs-term bochsbios vgabios busybox-static cpio isolinux syslinux-common xorriso
# KERNEL: a Linux kernel's image; one in /boot if not said. It can be had without installing it:
#   apt-get download linux-image-amd64's newest dependency, and dpkg -x it.
# LIMIT: seconds after which the machine is switched off, 1800 if not said.
set -eu
for tool in bochs script cpio xorriso busybox; do
    command -v "$tool" >/dev/null || { echo "bochs.sh: there is no $tool: install the packages named in $0" >&2 && exit 2; }
done
kernel=${KERNEL:-$(find /boot -name 'vmlinuz-*' 2>/dev/null | sort -V | tail -n 1)}
[ -r "$kernel" ] || { echo "bochs.sh: there is no kernel in /boot: set KERNEL, see $0" >&2 && exit 2; }
program=$1
shift

machine=$(mktemp -d)
trap 'rm -rf "$machine"' EXIT
root=$machine/root iso=$machine/iso
mkdir -p "$root/bin" "$root/proc" "$root/dev" "$root/tmp" "$root/sys" "$iso/isolinux"
cp "$(command -v busybox)" "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
cp "$program" "$root/program"
strip "$root/program"
for argument in "$@"; do printf '%s\n' "$argument"; done >"$root/arguments"
for folder in "$PWD/vectors" "$PWD/tests/vectors"; do
    [ ! -d "$folder" ] || { mkdir -p "$root$folder" && cp -r "$folder/." "$root$folder"; }
done
mkdir -p "$root$PWD"
# The last lines are written slowly, at a serial line's speed, and lost if the machine is off before.
cat >"$root/init" <<INIT
#!/bin/sh
busybox=/bin/busybox
\$busybox mount -t proc proc /proc
\$busybox mount -t devtmpfs dev /dev
\$busybox grep -q avx512vl /proc/cpuinfo || echo "this kernel does not use AVX-512 here"
set --
while IFS= read -r argument; do set -- "\$@" "\$argument"; done </arguments
cd "$PWD"
echo "PROGRAM STARTS"
/program "\$@" 2>&1
echo "PROGRAM ENDS \$?"
\$busybox sleep 2
\$busybox poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$iso/initrd.gz"
cp "$kernel" "$iso/vmlinuz"
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$iso/isolinux"
# Compact saved states are switched off (XSAVEC 321, XSAVES 323): bochs 2.7 states their size wrongly, and Linux then does
# without any vectors at all.
cat >"$iso/isolinux/isolinux.cfg" <<CONFIG
default linux
prompt 0
label linux
 kernel /vmlinuz
 append initrd=/initrd.gz console=ttyS0 mitigations=off quiet tsc=reliable clearcpuid=321,323
CONFIG
xorriso -as mkisofs -quiet -o "$machine/boot.iso" -b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot \
    -boot-load-size 4 -boot-info-table "$iso" 2>"$machine/xorriso.log"
cat >"$machine/bochsrc" <<CONFIG
cpu: model=corei7_skylake_x, count=1, ips=100000000, reset_on_triple_fault=0
memory: guest=2048, host=2048
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
ata0-master: type=cdrom, path=$machine/boot.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$machine/serial
display_library: term
plugin_ctrl: speaker=0
log: $machine/log
panic: action=report
clock: sync=none
CONFIG
echo c >"$machine/rc"
# The emulator wants a terminal to draw the emulated screen on.
(cd "$machine" && TERM=xterm script -qc "timeout -s KILL ${LIMIT:-1800} bochs -q -f bochsrc -rc rc" screen >drawn 2>&1) || true
tr -d '\r' <"$machine/serial" >"$machine/lines"
sed '1,/^PROGRAM STARTS/d; /^PROGRAM ENDS/,$d' "$machine/lines"
status=$(sed -n 's/^PROGRAM ENDS //p' "$machine/lines")
[ -n "$status" ] || { tail -n 20 "$machine/lines" >&2 && echo "bochs.sh: the machine stopped before the program did" >&2 && exit 1; }
exit "$status"
