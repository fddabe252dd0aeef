if [ "$PWD" != / ] && [ ! -d /.dt ]; then
    echo 'shadowSetup is for commands for which / is that of the image, as with enableFakechroot' >&2
    exit 1
fi
@path@
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-1}"
mkdir -p /etc/pam.d
if [ ! -e /etc/passwd ]; then
    echo @root@ >/etc/passwd
    [ -e /etc/shadow ] || (umask 077 && echo 'root:!x:::::::' >/etc/shadow)
fi
if [ ! -e /etc/group ]; then
    echo root:x:0: >/etc/group
    [ -e /etc/gshadow ] || (umask 077 && echo root:x:: >/etc/gshadow)
fi
[ -e /etc/pam.d/other ] || cat >/etc/pam.d/other <<'OTHER'
account sufficient pam_unix.so
auth sufficient pam_rootok.so
password requisite pam_unix.so nullok yescrypt
session required pam_unix.so
OTHER
[ -e /etc/login.defs ] || : >/etc/login.defs
